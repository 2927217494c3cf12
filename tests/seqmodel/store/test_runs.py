"""Same moment, same spec, same source: same run."""

from datetime import UTC, datetime, timedelta, timezone

from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import SourceRef
from seqmodel.store.runs import name_run

SPEC = PipelineSpec(name="p", source={"uri": "x"})
SOURCE = SourceRef(uri="x", fingerprint="f", files=())
NIGHT = datetime(2013, 12, 1, tzinfo=UTC)


def test_name_begins_with_the_moment_in_utc_and_sorts_by_it():
    run = name_run(SPEC, NIGHT.astimezone(timezone(timedelta(hours=2))), SOURCE)
    assert run.run.startswith("20131201T000000Z-")
    assert run.key == f"p/reports/{run.run}"
    assert run.run < name_run(SPEC, NIGHT + timedelta(days=1), SOURCE).run


def test_run_is_another_with_any_other_knob_or_source_and_else_the_same():
    base = name_run(SPEC, NIGHT, SOURCE)
    assert base == name_run(SPEC, NIGHT, SOURCE)
    knob = PipelineSpec(name="p", source={"uri": "x"}, train={"epochs": 3})
    other = SOURCE.model_copy(update={"fingerprint": "g"})
    names = {r.run for r in (base, name_run(knob, NIGHT, SOURCE), name_run(SPEC, NIGHT, other))}
    assert len(names) == 3
