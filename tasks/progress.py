"""Progress to follow: a bar on a terminal, plain lines in a log, an artifact in the UI."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from seqmodel.specs import PipelineSpec

Tell = Callable[[dict[str, Any]], None]
#: Time between two lines in a log, and between two updates in the UI (seconds).
LINE_EVERY, ARTIFACT_EVERY = 10.0, 5.0
#: A terminal shows one bar at a time; of trainings at once the others write lines.
BAR = threading.Lock()


@contextmanager
def follow_training(spec: PipelineSpec) -> Iterator[Tell]:
    """Give a function that takes the training's figures and shows them."""
    artifact = _Artifact(f"{spec.name}-training")
    if not sys.stderr.isatty() or not BAR.acquire(blocking=False):
        lines = _Lines()

        def tell_both(p: dict[str, Any]) -> None:
            lines.tell(p)
            artifact.tell(p)

        yield tell_both
        return
    bar = Progress(
        TextColumn("training"),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    try:
        with bar:
            task = bar.add_task("", total=spec.train.epochs)

            def tell(p: dict[str, Any]) -> None:
                bar.update(task, completed=_share(p) * spec.train.epochs, description=describe(p))
                artifact.tell(p)

            yield tell
    finally:
        BAR.release()


def describe(p: dict[str, Any]) -> str:
    """Return the figures of a moment as one line."""
    holdout = f" holdout {p['holdout']:.4f}" if p["holdout"] == p["holdout"] else ""
    return (
        f"epoch {p['epoch']}/{p['epochs']} step {p['step']}/{p['steps']} loss {p['loss']:.4f}"
        f"{holdout} {p['windows_per_s']:,.0f} windows/s"
    )


def _share(p: dict[str, Any]) -> float:
    return float((p["epoch"] - 1 + p["step"] / p["steps"]) / p["epochs"])


@final
class _Lines:
    def __init__(self) -> None:
        self._told = 0.0

    def tell(self, p: dict[str, Any]) -> None:
        now = time.monotonic()
        if now - self._told >= LINE_EVERY or p["step"] == p["steps"]:
            self._told = now
            get_run_logger().info("training: %s", describe(p))


@final
class _Artifact:
    """A progress artifact; one that fails is said once and never fails the run."""

    def __init__(self, key: str) -> None:
        self._key, self._told, self._broken = key, 0.0, False
        self._id: UUID | None = None

    def tell(self, p: dict[str, Any]) -> None:
        now = time.monotonic()
        if self._broken or (now - self._told < ARTIFACT_EVERY and _share(p) < 1):
            return
        self._told = now
        percent = 100 * _share(p)
        try:
            if self._id is None:
                made = create_progress_artifact(percent, key=self._key, description=describe(p))
                self._id = made if isinstance(made, UUID) else None
            else:
                update_progress_artifact(self._id, percent, description=describe(p))
        except Exception as error:  # noqa: BLE001 - the picture is not the run
            self._broken = True
            get_run_logger().warning("the progress artifact is not shown: %s", error)
