"""What a pipeline makes, as Prefect's assets: table -> model -> forecast.

The open server has no page for assets, but it takes their events: `prefect.asset.materialization.*`
names what was made and from what, for the Event Feed and for triggers of automations.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

from prefect import Task
from prefect.tasks import MaterializingTask

R = TypeVar("R")

SCHEME = "seqmodel://"
#: Stands in a decorator for the pipeline, which only the spec names.
ANY = "any-pipeline"
TABLE, MODEL, FORECAST = (f"{SCHEME}{ANY}/{what}" for what in ("table", "model", "forecast"))


def name_assets(task: Task[..., R], pipeline: str) -> Task[..., R]:
    """Return the task with the assets of one pipeline, such as `seqmodel://departures/table`.

    Args:
        task: with assets of any pipeline, or without.
        pipeline: its name.
    """
    if not isinstance(task, MaterializingTask):
        return task
    made = cast("MaterializingTask[..., Any]", task)
    named = [asset.key.replace(ANY, pipeline) for asset in made.assets]
    return made.with_options(assets=named)
