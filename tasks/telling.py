"""Events that automations listen to."""

from __future__ import annotations

from typing import Any, Literal

from prefect import get_run_logger
from prefect.events import emit_event
from prefect.runtime import flow_run

#: Flows that forecast after they have moved the pointer.
FORECASTING = {"nightly"}


def foresee_forecast(*, agreed: bool = False) -> Literal["wanted", "follows"]:
    """Return whether the flow that runs forecasts with the version that serves now.

    Args:
        agreed: a person has promoted it: the forecast of the night is out by then.
    """
    return "follows" if flow_run.flow_name in FORECASTING and not agreed else "wanted"


def tell_event(
    event: str,
    pipeline: str,
    version: str,
    reason: str,
    *,
    forecast: Literal["wanted", "follows"] = "follows",
    **figures: Any,
) -> None:
    """Emit an event of a pipeline; one that cannot be sent never fails the run.

    Args:
        event: such as `seqmodel.model.promoted`.
        pipeline: name of the pipeline.
        version: which model it speaks of.
        reason: one sentence.
        forecast: `wanted` if another version serves now and this run makes no forecast with it.
        figures: further entries of the payload, JSON-able.
    """
    try:
        emit_event(
            event=event,
            resource={
                "prefect.resource.id": f"seqmodel.pipeline.{pipeline}",
                "prefect.resource.name": pipeline,
                "seqmodel.version": version,
                "seqmodel.forecast": forecast,
            },
            payload={"version": version, "reason": reason, **figures},
        )
    except Exception as error:  # noqa: BLE001 - the word about it is not the run
        get_run_logger().warning("the event %s was not sent: %s", event, error)
