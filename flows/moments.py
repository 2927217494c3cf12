"""Flow runs of many moments, some of them at once.

moment -- a thread -- refresh, a flow run with its own report --> what became of it
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from datetime import datetime
from threading import Lock

from prefect import get_run_logger

from flows.refresh import refresh
from seqmodel.errors import SeqmodelError, SpecError
from seqmodel.reporting.composing import Course
from seqmodel.specs import PipelineSpec


def refresh_each(
    course: Course,
    spec: PipelineSpec,
    moments: Sequence[datetime],
    at_once: int,
    dry_run: bool,  # noqa: FBT001 - handed on from the command line
) -> None:
    """Forecast at every moment, and note what became of it.

    Args:
        course: of the backfill; gets a sentence for each moment, oldest first.
        spec: the pipeline.
        moments: that the runs pretend to be at, oldest first.
        at_once: runs at the same time.
        dry_run: note what would be done, and do nothing.

    Raises:
        SpecError: if a knob is wrong; moments that have not begun do not begin.
        SeqmodelError: after all, if a moment was refused.
    """
    refused = 0
    words = ("would be forecast" for _ in moments) if dry_run else _run(spec, moments, at_once)
    for moment, word in zip(moments, words, strict=True):
        refused += word.startswith("refused")
        course.done.append(f"{moment:%Y-%m-%d %H:%M}: {word}")
        get_run_logger().info(course.done[-1])
    if refused:
        raise SeqmodelError(
            f"found {refused} of {len(moments)} moments without a forecast, needed all; see the"
            " reports, mend the cause and run again"
        )


def _run(spec: PipelineSpec, moments: Sequence[datetime], at_once: int) -> Iterator[str]:
    """Yield what became of each moment, in order."""
    beginning = Lock()
    with ThreadPoolExecutor(at_once) as pool:
        running = [
            pool.submit(copy_context().run, _refresh, spec, moment, beginning) for moment in moments
        ]
        try:
            yield from (one.result() for one in running)
        finally:
            pool.shutdown(cancel_futures=True)


def _refresh(spec: PipelineSpec, moment: datetime, beginning: Lock) -> str:
    """Run one moment as a flow run below the one that asks.

    Runs begin one after the other: Prefect numbers the runs below another without a lock, and two
    with the same number would be one run.
    """
    try:
        with ExitStack() as held:
            held.enter_context(beginning)
            one = refresh.with_options(on_running=[lambda *_: held.close()])
            one(spec=spec, as_of=moment)
    except SpecError:
        raise
    except SeqmodelError as error:
        return f"refused: {error}"
    return "forecast"
