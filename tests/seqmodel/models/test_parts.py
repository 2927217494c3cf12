"""How a batch is cut for the cores."""

from seqmodel.models.parts import SMALLEST_PART, be_a_part, count_parts


def test_parts_are_equal_and_not_too_small():
    for windows in (1, 31, 33, 64, 96, 256, 1000):
        parts = count_parts(windows)
        assert windows % parts == 0
        assert parts == 1 or windows // parts >= SMALLEST_PART


def test_there_are_no_more_parts_than_wanted():
    assert [count_parts(256, most) for most in (1, 2, 3, 4, 7, 8, 100)] == [1, 2, 2, 4, 4, 8, 8]


def test_a_part_is_not_cut_again():
    with be_a_part():
        assert count_parts(256, 4) == 1
    assert count_parts(256, 4) == 4
