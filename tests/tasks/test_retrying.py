"""What is tried again."""

import asyncio

import pytest
from prefect.states import Completed, Failed

from seqmodel.errors import (
    ChildDied,
    DataError,
    OutOfMemory,
    QualityError,
    SourceError,
    SpecError,
    StoreError,
    TrainingError,
)
from tasks.retrying import RETRIES, may_pass, retry_if_it_may_pass


@pytest.mark.parametrize(
    "error",
    [
        ChildDied("x"),
        OutOfMemory("x"),
        OSError("disk"),
        ConnectionResetError(),
        TimeoutError(),
        BlockingIOError(),
    ],
)
def test_what_may_pass_is_tried_again(error):
    assert may_pass(error)


@pytest.mark.parametrize(
    "error",
    [
        *(e("x") for e in (DataError, QualityError, SourceError, SpecError)),
        StoreError("x"),
        TrainingError("x"),
        FileNotFoundError("x"),
        PermissionError("x"),
        IsADirectoryError("x"),
        NotADirectoryError("x"),
        ValueError("x"),
        KeyError("x"),
        MemoryError(),
        KeyboardInterrupt(),
    ],
)
def test_what_is_wrong_is_not(error):
    assert not may_pass(error)


def ask(state):
    return asyncio.run(retry_if_it_may_pass(None, None, state))


def test_prefect_is_told_by_the_failed_state():
    assert ask(Failed(data=ChildDied("x")))
    assert not ask(Failed(data=DataError("x")))
    assert not ask(Completed(data=1))


def test_the_waits_grow():
    assert RETRIES["retry_delay_seconds"](RETRIES["retries"]) == [4, 8]
