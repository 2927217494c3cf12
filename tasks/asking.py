"""Ask Great Expectations about frames, quietly, and read what it answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd

#: Great Expectations keeps its current project in a global.
ONE_AT_A_TIME = threading.Lock()


@contextmanager
def open_context() -> Iterator[Any]:
    """Open a context of its own: a shared one would keep every frame."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logger, silence = logging.getLogger("great_expectations"), logging.NullHandler()
    with ONE_AT_A_TIME:
        # What it has to say comes back in its results. Its modules set levels of their own, so
        # that only the way out can be closed.
        logger.addHandler(silence)
        propagate, logger.propagate = logger.propagate, False
        try:
            context = gx.get_context(mode="ephemeral")
            context.variables.progress_bars = ProgressBarsConfig(globally=False)
            context.enable_analytics(enable=False)
            yield context
        finally:
            logger.propagate = propagate
            logger.removeHandler(silence)


def ask(context: Any, frame: pd.DataFrame, expectations: list[Any], report: str) -> list[Any]:
    """Return what Great Expectations finds, in an order of its own.

    Nothing of the frame stays with the context.

    Args:
        context: an open context.
        frame: what is looked at.
        expectations: what is expected of it.
        report: COMPLETE lists every position that breaks an expectation, SUMMARY five.
    """
    from great_expectations.core.batch import Batch
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.validator.validator import Validator

    validator = Validator(
        execution_engine=PandasExecutionEngine(),
        batches=[Batch(data=frame)],
        data_context=context,
    )
    found: list[Any] = validator.graph_validate(
        configurations=[expectation.configuration for expectation in expectations],
        # Asking for names beside the positions takes 50 times as long.
        runtime_configuration={
            "result_format": {"result_format": report, "partial_unexpected_count": 5}
        },
    )
    return found


def read_error(result: Any) -> str:
    """Return why an expectation could not be evaluated; nothing if it could."""
    info = result.to_json_dict()["exception_info"]
    # One metric that fails is reported flat, several below their ids.
    infos = [info] if "raised_exception" in info else list(info.values())
    messages = [one["exception_message"] for one in infos if one["raised_exception"]]
    return (str(messages[0]).strip().splitlines() or ["error"])[0] if messages else ""
