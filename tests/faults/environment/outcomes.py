"""What a disturbed night must leave, said once for all disturbances."""

from __future__ import annotations

from tests.faults.kills import Unbroken
from tests.faults.night import (
    End,
    Ground,
    check_ledger,
    check_whole,
    compare_outputs,
    read_outputs,
)


def assert_one_line(end: End, *words: str) -> None:
    """Exit code 1 and one line that says what was found, needed and to be done."""
    assert end.code == 1, end.out[-3000:]
    assert len(end.said) == 1, end.out[-3000:]
    assert end.said[0].startswith("seqmodel: found ")
    assert ", needed " in end.said[0]
    assert all(word in end.said[0] for word in words), end.said
    assert not end.left


def assert_done(ground: Ground, unbroken: Unbroken, end: End) -> None:
    """The night is complete, and what it left is that of an unbroken one."""
    assert end.code == 0, end.out[-3000:]
    assert not end.left
    check_whole(ground.pipeline)
    check_ledger(ground.pipeline)
    assert compare_outputs(read_outputs(ground.pipeline), unbroken.outputs) == []
