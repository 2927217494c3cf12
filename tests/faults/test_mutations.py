"""Any damage to the bytes of a Parquet file ends in a whole table or in one sentence."""

from __future__ import annotations

import subprocess

import pyarrow.parquet as pq
import pytest

from tests.faults import mutations
from tests.faults.mutations import (
    CHANGES,
    PLACES,
    REFUSED,
    SHAPES,
    WHOLE,
    build_file,
    build_rows,
    count,
    mutate,
    run_children,
)

#: In make test, and in make test-faults.
FEW, MANY = range(60), range(1000, 1600)


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_a_file_that_nothing_was_done_to_is_whole(shape, tmp_path):
    path = tmp_path / "source.parquet"
    path.write_bytes(build_file(shape))
    assert pq.ParquetFile(path).read().equals(build_rows())
    assert mutations.ingest(mutations.Store(tmp_path / "root"), path) == (WHOLE, "")


def test_the_same_seed_does_the_same_damage_and_the_seeds_reach_every_place():
    assert mutate(7) == mutate(7)
    done = {mutate(seed)[0] for seed in MANY}
    wanted = {f"{name} in {place}" for name in CHANGES for place in PLACES[:-1]}
    assert done == {*wanted, PLACES[-1]}


def assert_survived(results, seeds):
    print(count(results))  # noqa: T201 - the figures of this test
    assert [int(one["seed"]) for one in results] == list(seeds)
    wrong = [one for one in results if one["outcome"] not in {WHOLE, REFUSED}]
    assert not wrong, "\n".join(
        f"{o['seed']} {o['what']}: {o['outcome']}\n{o['said']}" for o in wrong
    )
    assert {one["outcome"] for one in results} == {WHOLE, REFUSED}, "one side was never tried"


@pytest.mark.fault("Parquet bytes mutated", tries=len(FEW))
def test_sixty_damaged_files_end_whole_or_in_one_sentence(tmp_path):
    assert_survived(run_children(list(FEW), tmp_path, a_child=60), FEW)


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.fault("Parquet bytes mutated", tries=len(MANY))
def test_six_hundred_damaged_files_end_whole_or_in_one_sentence(tmp_path):
    assert_survived(run_children(list(MANY), tmp_path, a_child=100), MANY)


def test_a_seed_that_ends_its_child_is_named_and_the_others_go_on(tmp_path, monkeypatch):
    run = subprocess.run

    def end_at_three(words, **options):
        code = (
            "import os, signal, sys; from tests.faults import mutations as m; real = m.try_seed\n"
            "def try_seed(seed, folder):\n"
            "    seed == 3 and os.kill(os.getpid(), signal.SIGSEGV)\n"
            "    return real(seed, folder)\n"
            "m.try_seed = try_seed; m.main()"
        )
        return run([words[0], "-c", code, *words[3:]], **options)

    monkeypatch.setattr(mutations.subprocess, "run", end_at_three)
    results = run_children([2, 3, 4], tmp_path, a_child=3)
    assert [one["seed"] for one in results] == ["2", "3", "4"]
    assert [one["outcome"] == "crash" for one in results] == [False, True, False]
