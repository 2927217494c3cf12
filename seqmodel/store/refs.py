"""What crosses the borders between tasks: small, frozen, JSON-able pointers, never frames.

A Ref names files by a key below the data root (never an absolute path), carries the fingerprint
by which they can be checked, and the few figures a person wants to see beside it. Prefect stores
the import path of these classes with each result, so they stay in this module.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from seqmodel.store.comparisons import Paired
from seqmodel.store.ledgers import FileLedger, Ledger
from seqmodel.store.parts import Counts
from seqmodel.store.ref import Ref
from seqmodel.table.quality import Verdict


class FileStamp(Ref):
    """One source file as it was when it was looked at.

    Attributes:
        uri: where it is, as the source names it.
        size: (bytes).
        rows: from the Parquet footer.
        digest: sha256 of the footer, size and modification time.
    """

    uri: str
    size: int
    rows: int
    digest: str


class SourceRef(Ref):
    """The source as it was found, recognised without reading it whole."""

    uri: str
    fingerprint: str
    files: tuple[FileStamp, ...]


class RunRef(Ref):
    """One run: a pipeline pretending to be at a moment, looking at a source."""

    pipeline: str
    run: str
    as_of: datetime

    @property
    def key(self) -> str:
        """Folder of the run's reports."""
        return f"{self.pipeline}/reports/{self.run}"

    @property
    def scores(self) -> str:
        """File of its backtest."""
        return f"{self.key}/backtest.json"


class TableRef(Ref):
    """A cleaned table that nobody has judged yet: it lies in the staging folder.

    Attributes:
        key: folder of `part-*.parquet`, below the data root.
        fingerprint: sha256 over the parts' bytes.
        series: number of series.
        first: first timestamp.
        cutoff: newest timestamp, the last a model may see.
        future: number of rows of known covariates after the cutoff.
        ledger: rows in and what became of them.
        files: the same for each source file.
        quarantine: key of the rows set aside, if any were.
    """

    key: str
    fingerprint: str
    series: int
    first: datetime
    cutoff: datetime
    future: int
    ledger: Ledger
    files: tuple[FileLedger, ...]
    quarantine: str | None = None

    def needs(self) -> tuple[str, ...]:
        """See `Ref.needs`."""
        return (self.key,) if self.quarantine is None else (self.key, self.quarantine)


class ValidatedTableRef(Ref):
    """A table that Great Expectations has judged, published below `tables/`.

    It is a type of its own, so that training on an unjudged table is a type error.

    Attributes:
        table: the table, its key now below `tables/`.
        verdict: what every rule found.
    """

    table: TableRef
    verdict: Verdict

    def needs(self) -> tuple[str, ...]:
        """See `Ref.needs`."""
        return self.table.needs()


class WindowsRef(Ref):
    """Rows encoded as features, and the windows over them.

    Attributes:
        key: folder of the row arrays, the window index and the fitted preprocessor.
        fingerprint: sha256 over the folder's files.
        train: number of training windows N.
        holdout: number of holdout windows.
        features: names of the F features of a lookback row, in order.
    """

    key: str
    fingerprint: str
    train: int
    holdout: int
    features: tuple[str, ...]

    def needs(self) -> tuple[str, ...]:
        """See `Ref.needs`."""
        return (self.key,)


class ModelRef(Ref):
    """One immutable model version.

    Attributes:
        key: folder of the bundle.
        version: name of the folder; later versions sort after earlier ones.
        fingerprint: sha256 of the bundle's manifest.
        kind: model of the registry.
        lookback: L it reads (steps).
        as_of: what the training run pretended the time to be.
        parameters: weights in the network.
        seconds: time of training.
        epochs: epochs trained.
        best_epoch: epoch whose weights were kept.
        holdout: loss on the holdout at that epoch.
        history: (loss, holdout loss) an epoch.
        begun: from scratch or from which version, and why.
        trained_until: timestamp of the newest target that it, or a version it went on from, was
            fitted or stopped on; None where the bundle does not say.
    """

    key: str
    version: str
    fingerprint: str
    kind: str
    lookback: int
    as_of: datetime
    parameters: int
    seconds: float
    epochs: int
    best_epoch: int
    holdout: float
    history: tuple[tuple[float, float], ...] = ()
    begun: str = ""
    trained_until: datetime | None = None

    @property
    def seen_until(self) -> datetime:
        """Moment after which it has seen no target: what is later is fresh to it."""
        return self.trained_until or self.as_of

    def needs(self) -> tuple[str, ...]:
        """See `Ref.needs`."""
        return (self.key,)


class GraphRef(Ref):
    """The networks of a version as ONNX graphs, which forecast without Keras.

    Attributes:
        key: folder of the graphs.
        fingerprint: sha256 of its manifest.
        made_of: sha256 of the manifest of the version's bundle.
    """

    key: str
    fingerprint: str
    made_of: str

    def needs(self) -> tuple[str, ...]:
        """See `Ref.needs`."""
        return (self.key,)


class ServingRef(Ref):
    """Which version serves at a moment, and what was passed over on the way to it.

    Attributes:
        model: the version; None means the baseline.
        notes: one sentence for each version that could not be used.
        graph: its networks for shards that forecast without Keras.
    """

    model: ModelRef | None
    notes: tuple[str, ...] = ()
    graph: GraphRef | None = None

    def needs(self) -> tuple[str, ...]:
        """See `Ref.needs`."""
        return tuple(key for ref in (self.model, self.graph) if ref for key in ref.needs())


class BacktestRef(Ref):
    """Scores of challenger, champion and baseline at the same cutoffs.

    Attributes:
        key: `backtest.json` with all scores.
        windows: windows scored per candidate.
        cutoffs: the cutoffs.
        scores: candidate (`challenger`, `champion`, `baseline`) -> metric -> score.
        metric: by which the gate decides where `promotion.metric` names none.
        asked: cutoffs asked for; those that a candidate has learned from, or without a target, are
            not among `cutoffs`.
        paired: `champion`, `baseline` -> the challenger beside it, window by window.
        nominal: share of targets that the interval should cover, None without one.
        notes: one sentence for whatever is not as asked for.
        obstacle: why a champion that serves is not among the candidates.
    """

    key: str
    windows: int
    cutoffs: tuple[datetime, ...]
    scores: dict[str, dict[str, float]]
    metric: str = "mase"
    asked: int = 0
    paired: dict[str, Paired] = Field(default_factory=dict)
    nominal: float | None = None
    notes: tuple[str, ...] = ()
    obstacle: str = ""

    def needs(self) -> tuple[str, ...]:
        """See `Ref.needs`."""
        return (self.key,)


class DecisionRef(Ref):
    """What the promotion gate decided, and why.

    Attributes:
        key: `promotion.json`.
        promoted: whether the pointer was moved to the challenger.
        held: whether a person must agree first.
        serves: the challenger's version if it won, also when the pointer stayed because it
            names a model of a later night.
        reason: one sentence.
    """

    key: str
    promoted: bool
    serves: str | None
    reason: str
    held: bool = False

    def needs(self) -> tuple[str, ...]:
        """See `Ref.needs`."""
        return (self.key,)


class ForecastRef(Ref):
    """A published forecast.

    Attributes:
        key: folder of the parts and of `_manifest.json`.
        cutoff: the last timestamp the model saw.
        model_version: version that made it, `baseline` for the seasonal naive.
        rows: forecast rows.
        series: series forecast.
        fingerprint: sha256 of the manifest.
        head: the first rows, for a person to see.
        counts: series that were skipped, or forecast by the baseline instead.
    """

    key: str
    cutoff: datetime
    model_version: str
    rows: int
    series: int
    fingerprint: str
    head: tuple[dict[str, Any], ...] = ()
    counts: Counts = Counts()

    def needs(self) -> tuple[str, ...]:
        """See `Ref.needs`."""
        return (f"{self.key}/_manifest.json",)


class ReportRef(Ref):
    """The run's report for people.

    Attributes:
        key: `report.html`.
        night: `night.json`, everything the report says.
        verdict: the first sentence.
    """

    key: str
    night: str
    verdict: str

    def needs(self) -> tuple[str, ...]:
        """See `Ref.needs`."""
        return (self.key,)
