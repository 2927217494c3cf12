"""Alarms and reactions as code: made anew by `make serve`, and by this command.

python -m flows.automations

heartbeats stop        -> the run is marked Crashed, so that its slot is free
no success for 26 h    -> an alarm, for each deployment tagged `on-schedule`
a run fails            -> a notice, where one is wanted
a model is promoted    -> its pipeline's refresh, where no forecast follows by itself
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.actions import (
    ActionTypes,
    ChangeFlowRunState,
    DoNothing,
    RunDeployment,
)
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.settings import get_current_settings
from pydantic import ValidationError

from flows.alarms import AlarmSettings, find_notice
from flows.command import describe_invalid
from seqmodel.errors import SeqmodelError, SpecError

#: Names of ours begin like this: what is no longer wanted is known by it, and removed.
PREFIX = "seqmodel: "
#: Tag of every run of this project, and of the deployments whose silence is an alarm.
TAG, SCHEDULED_TAG = "seqmodel", "on-schedule"
RUN = "prefect.flow-run."
ENDS = {f"{RUN}{word}" for word in ("Completed", "Failed", "Crashed", "Cancelled", "TimedOut")}
#: A run that waits beats no longer, and is no zombie.
WAITS = {f"{RUN}{word}" for word in ("Suspended", "Paused", "Scheduled", "Late", "Pending")}
WAITS |= {f"{RUN}{word}" for word in ("AwaitingRetry", "Retrying", "Resuming", "Cancelling")}


def find_zombies(heartbeat: timedelta, window: timedelta | None = None) -> AutomationCore:
    """Mark a run Crashed whose heartbeats stopped without an end.

    It is not taken up again by itself: the copy that fell silent may still be alive. A person does
    it (`prefect flow-run retry`), and what was finished comes from the cache.

    Args:
        heartbeat: time between two heartbeats.
        window: silence after which a run is dead; by default four heartbeats.

    Raises:
        SpecError: if the window is shorter than three heartbeats, or longer than an hour and four
            heartbeats: a healthy run must not be declared dead, nor a dead one hold its slot.
    """
    window = window or 4 * heartbeat
    if not 3 * heartbeat <= window <= timedelta(hours=1) + 4 * heartbeat:
        raise SpecError(
            f"found a zombie window of {window.total_seconds():.0f} s with a heartbeat each"
            f" {heartbeat.total_seconds():.0f} s, needed three heartbeats at least and an hour and"
            " four of them at most; correct SEQMODEL_ALARM_ZOMBIE"
        )
    beat = f"{RUN}heartbeat"
    return AutomationCore(
        name=f"{PREFIX}a run without heartbeat",
        description="its process is gone: it is marked Crashed and its slot is free again",
        trigger=EventTrigger(
            match={"prefect.resource.id": f"{RUN}*"},
            match_related={"prefect.resource.id": f"prefect.tag.{TAG}"},
            for_each={"prefect.resource.id"},
            after={beat},
            expect={beat, *ENDS, *WAITS},
            posture=Posture.Proactive,
            threshold=1,
            within=window,
        ),
        actions=[
            ChangeFlowRunState(
                state="CRASHED",
                message=f"no heartbeat for {window.total_seconds():.0f} s: the process is gone",
            )
        ],
    )


def find_silence(window: timedelta, notice: Sequence[ActionTypes] = ()) -> AutomationCore:
    """Raise an alarm when a deployment on schedule has had no success for so long.

    The clock begins with the first sign of a run, be it that it is late, and anew with each
    success; so a pipeline that never succeeded is noticed too.

    Args:
        window: the time without a success.
        notice: what follows beside the event `prefect.automation.triggered`.
    """
    done = f"{RUN}Completed"
    signs = ("Scheduled", "Late", "Pending", "Running", "Failed", "Crashed", "Cancelled")
    return AutomationCore(
        name=f"{PREFIX}no success for {window / timedelta(hours=1):.3g} hours",
        description=f"of a deployment tagged {SCHEDULED_TAG}",
        trigger=EventTrigger(
            match={"prefect.resource.id": f"{RUN}*"},
            match_related={"prefect.resource.id": f"prefect.tag.{SCHEDULED_TAG}"},
            for_each={"related:deployment:prefect.resource.id"},
            after={done, *(f"{RUN}{sign}" for sign in signs)},
            expect={done},
            posture=Posture.Proactive,
            threshold=1,
            within=window,
        ),
        actions=list(notice) or [DoNothing()],
    )


def tell_failures(notice: Sequence[ActionTypes]) -> AutomationCore:
    """Send a notice when a run fails or crashes.

    Args:
        notice: where it goes to.
    """
    return AutomationCore(
        name=f"{PREFIX}a run failed",
        description="a notice of each run that failed, crashed or ran out of time",
        trigger=EventTrigger(
            match={"prefect.resource.id": f"{RUN}*"},
            match_related={"prefect.resource.id": f"prefect.tag.{TAG}"},
            for_each={"prefect.resource.id"},
            expect={f"{RUN}{word}" for word in ("Failed", "Crashed", "TimedOut")},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=list(notice),
    )


def follow_promotion(pipeline: str, deployment: UUID) -> AutomationCore:
    """Forecast anew when a model was promoted by a run that forecasts nothing itself.

    A night forecasts with the model it has just promoted: a refresh beside it would publish the
    same cutoff twice. What is promoted by `retrain`, `rollback` or a person's word has nobody else.

    Args:
        pipeline: its name.
        deployment: id of its refresh.
    """
    return AutomationCore(
        name=f"{PREFIX}{pipeline}: refresh after a promotion",
        description="a version serves whose forecast is not out yet",
        trigger=EventTrigger(
            match={
                "prefect.resource.id": f"seqmodel.pipeline.{pipeline}",
                "seqmodel.forecast": "wanted",
            },
            expect={"seqmodel.model.promoted", "seqmodel.model.rolled-back"},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[RunDeployment(source="selected", deployment_id=deployment)],
    )


def list_automations(client: SyncPrefectClient, settings: AlarmSettings) -> list[AutomationCore]:
    """Return all automations that are wanted, as the environment and the deployments say.

    Args:
        client: of the server, whose deployments are read.
        settings: windows, and where notices go.

    Raises:
        SpecError: if a window or the block of the notices does not fit.
    """
    beat = get_current_settings().flows.heartbeat_frequency
    notice = find_notice(client, settings)
    found = [find_silence(timedelta(hours=settings.silence), notice)]
    if beat:  # without heartbeats nobody can tell a zombie
        window = timedelta(seconds=settings.zombie) if settings.zombie else None
        found.append(find_zombies(timedelta(seconds=beat), window))
    if notice:
        found.append(tell_failures(notice))
    flows = {flow.id: flow.name for flow in client.read_flows()}
    for one in client.read_deployments():
        spec = (one.parameters or {}).get("spec") or {}
        if flows.get(one.flow_id) == "refresh" and spec.get("name"):
            found.append(follow_promotion(spec["name"], one.id))
    return found


def deploy_automations() -> list[str]:
    """Make, replace and remove automations of ours so that those wanted are there, once each.

    One that a person switched off stays off. Automations of others are left alone.

    Returns:
        Their names.

    Raises:
        SpecError: if a setting does not fit.
    """
    try:
        settings = AlarmSettings()
    except ValidationError as error:
        raise SpecError(describe_invalid(error)) from None
    with get_client(sync_client=True) as client:
        wanted = {one.name: one for one in list_automations(client, settings)}
        kept: set[str] = set()
        for old in client.read_automations():
            if old.name in wanted and old.name not in kept:
                kept.add(old.name)
                new = wanted[old.name].model_copy(update={"enabled": old.enabled})
                client.update_automation(old.id, new)
            elif old.name.startswith(PREFIX):
                client.delete_automation(old.id)
        for name in wanted.keys() - kept:
            client.create_automation(wanted[name])
    return sorted(wanted)


def main() -> int:
    """Make the automations on the server of `PREFECT_API_URL`; 2 if a setting is wrong."""
    try:
        names = deploy_automations()
    except SeqmodelError as error:
        sys.stderr.write(" ".join(f"seqmodel: {error}".split()) + "\n")
        return error.exit_code
    sys.stdout.write("".join(f"automation {name}\n" for name in names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
