"""The name of a run: same moment, same spec, same source, same folder of reports."""

from __future__ import annotations

from datetime import datetime

from seqmodel.specs import PipelineSpec
from seqmodel.store.fingerprints import digest_value
from seqmodel.store.forecasts import format_moment
from seqmodel.store.refs import RunRef, SourceRef


def name_run(spec: PipelineSpec, as_of: datetime, source: SourceRef | None = None) -> RunRef:
    """Return the run of a spec at a moment on a source, e.g. `20131201T000000Z-1a2b3c4d`.

    Args:
        spec: the pipeline.
        as_of: the moment the run pretends to be at.
        source: the files; None as long as nobody could look at them.
    """
    digest = digest_value([spec.model_dump(mode="json"), source and source.fingerprint])
    return RunRef(pipeline=spec.name, run=f"{format_moment(as_of)}-{digest[:8]}", as_of=as_of)
