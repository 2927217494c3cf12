"""The moment that a run pretends to be at, and what the run is called after it.

due = scheduled start -- begun in time ------> as of the time it was due
                      -- begun far too late -> as of the time it began, and the report says so
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prefect.context import FlowRunContext
from prefect.runtime import flow_run

#: How late a scheduled run may begin and still be about the time it was due (hours).
LATENESS = 6.0


def decide_moment(as_of: datetime | None, lateness: float | None = None) -> tuple[datetime, str]:
    """Return the moment that the run pretends to be at, and why it is another than was due.

    After an outage the oldest run that is due begins first and takes the slot, the others are
    cancelled: its forecast has to be about now, not about a night that has passed.

    Args:
        as_of: the moment that was asked for; it always counts.
        lateness: how late the run may begin and still be about the time it was due (hours);
            None for any.

    Returns:
        The moment in UTC, and a sentence, empty if the moment is the one that was due.
    """
    if as_of is not None:
        return _plain(as_of), ""
    begun = _find_start()
    due = _plain(flow_run.scheduled_start_time or begun)
    if lateness is None or begun - due <= timedelta(hours=lateness):
        return due, ""
    late = (begun - due).total_seconds() / 3600
    return begun.replace(second=0, microsecond=0), (
        f"The run was due at {due:%Y-%m-%d %H:%M} UTC and began {late:.1f} hours later, more than"
        f" the {lateness:g} allowed: it is about the time it began"
    )


def name_flow_run() -> str:
    """Return the name of the flow run that begins, such as `departures nightly 2013-12-01 00:00`.

    The moment is in UTC.
    """
    given = flow_run.parameters
    moment, _ = decide_moment(given.get("as_of"), given.get("lateness"))
    return f"{given['spec'].name} {flow_run.flow_name} {moment:%Y-%m-%d %H:%M}"


def _find_start() -> datetime:
    """Return when the run began for the first time: a run taken up again stays the same run."""
    context = FlowRunContext.get()
    known = context.flow_run.start_time if context and context.flow_run else None
    return _plain(known or datetime.now(UTC))


def _plain(moment: datetime) -> datetime:
    """Return a moment in UTC as Python's own; Prefect's are pendulum's, as their differences."""
    return datetime.fromisoformat(moment.isoformat()).astimezone(UTC)
