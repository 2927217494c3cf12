"""Events that automations listen to."""

from __future__ import annotations

from typing import Any

from prefect import get_run_logger
from prefect.events import emit_event


def tell_event(event: str, pipeline: str, version: str, reason: str, **figures: Any) -> None:
    """Emit an event of a pipeline; one that cannot be sent never fails the run.

    Args:
        event: such as `seqmodel.model.promoted`.
        pipeline: name of the pipeline.
        version: which model it speaks of.
        reason: one sentence.
        figures: further entries of the payload, JSON-able.
    """
    try:
        emit_event(
            event=event,
            resource={
                "prefect.resource.id": f"seqmodel.pipeline.{pipeline}",
                "prefect.resource.name": pipeline,
                "seqmodel.version": version,
            },
            payload={"version": version, "reason": reason, **figures},
        )
    except Exception as error:  # noqa: BLE001 - the word about it is not the run
        get_run_logger().warning("the event %s was not sent: %s", event, error)
