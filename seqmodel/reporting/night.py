"""Everything the report of one run says, as data: the renderers know nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from seqmodel.store.comparisons import GroupLoss
from seqmodel.store.ledgers import FileLedger, Ledger
from seqmodel.table.quality import Verdict


class Part(BaseModel):
    """Base of the report's parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StepRecord(Part):
    """One step of the run.

    Attributes:
        step: name of the task.
        seconds: wall time.
        outcome: `ran`, `from cache` or `failed`.
    """

    step: str
    seconds: float
    outcome: Literal["ran", "from cache", "failed"]


class Fan(Part):
    """One series' forecast beside what came.

    Attributes:
        series_id: which series.
        label: why it is shown, e.g. `best`, `median`, `worst`.
        score: its score (MASE), None when there are no actuals.
        history_at: timestamps of the last steps before the cutoff.
        history: target there; None where missing.
        forecast_at: H timestamps.
        quantiles: level, e.g. `0.1` -> H values.
        actual: H values, None where missing; empty for a forecast of the future.
        baseline: H values of the seasonal naive; may be empty.
    """

    series_id: str
    label: str
    score: float | None
    history_at: tuple[datetime, ...]
    history: tuple[float | None, ...]
    forecast_at: tuple[datetime, ...]
    quantiles: dict[str, tuple[float, ...]]
    actual: tuple[float | None, ...] = ()
    baseline: tuple[float | None, ...] = ()


class Confusion(Part):
    """How often each class came, and what was said instead.

    Attributes:
        labels: C classes; of many the commonest, and `others`.
        counts: C x C, a row a class that came, a column a class that was said.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class ClassPlots(Part):
    """What the backtest of classes shows beside its scores.

    Attributes:
        confusion: of the challenger.
        roc: candidate -> (false positive rate, true positive rate); empty for more than two
            classes.
        reliability: candidate -> (mean probability, share that came, count) of each interval.
        targets: classes told.
        unseen: those of them that the challenger never saw in training: misses.
    """

    confusion: Confusion
    roc: dict[str, tuple[tuple[float, float], ...]]
    reliability: dict[str, tuple[tuple[float, float, int], ...]]
    targets: int
    unseen: int


class Ablated(Part):
    """What a group of inputs is worth.

    Attributes:
        group: its name.
        inputs: covariates, or calendar, lags, ...
        score: MASE without it.
        gain: share by which the MASE is lower with it.
        error: standard error of the gain over the cutoffs.
    """

    group: str
    inputs: tuple[str, ...]
    score: float
    gain: float
    error: float


class Interval(Part):
    """A central interval of one candidate: how often it was met, and how wide it is.

    Attributes:
        candidate: whose.
        nominal: share of targets it should cover.
        coverage: share it covers.
        least: coverage of the step of the horizon where it is least.
        most: the same where it is most.
        width: mean width (target's unit).
    """

    candidate: str
    nominal: float
    coverage: float
    least: float
    most: float
    width: float


class Grouped(Part):
    """Scores of the series that have one value of a static covariate.

    Attributes:
        column: the covariate.
        value: its value.
        scores: candidate -> main metric, None where nothing was observed.
    """

    column: str
    value: str
    scores: dict[str, float | None]


class LiveNight(Part):
    """What came of one forecast that is out.

    Attributes:
        cutoff: its moment.
        version: that made it.
        skill: share by which its error is below the baseline's, None where that has no meaning.
        coverage: share of targets inside its interval, None without one.
        share: share of its targets that have come.
    """

    cutoff: datetime
    version: str
    skill: float | None
    coverage: float | None
    share: float


class Promise(Part):
    """A live figure of the version that serves, beside what its backtest promised.

    Attributes:
        metric: which one.
        live: of its last forecasts.
        baseline: the baseline's at the same cutoffs.
        promised: of its last backtest, None where there was none.
    """

    metric: str
    live: float
    baseline: float | None
    promised: float | None


class Drifted(Part):
    """How far a column has moved from what the version that serves was trained on.

    Attributes:
        column: its name.
        rows: values observed lately.
        psi: population stability index.
        ks: largest distance of the two distributions.
        unseen: share of rows with a category never seen in training.
        drifted: which limits were passed; nothing if none was.
    """

    column: str
    rows: int
    psi: float | None
    ks: float | None
    unseen: float | None
    drifted: str


class Compared(Part):
    """What the gate found: the challenger beside another candidate on the same windows.

    Attributes:
        rival: `champion` or `baseline`.
        test: name of the paired test.
        difference: mean loss of the challenger less the other's; below zero it is better.
        chance: probability of so low a difference by chance, None where nobody can tell.
        pairs: size of the sample.
        over: what it is a sample of.
        windows: windows compared.
        groups: the same for each group of series.
    """

    rival: str
    test: str
    difference: float | None
    chance: float | None
    pairs: int
    over: str
    windows: int
    groups: tuple[GroupLoss, ...] = ()


class Tried(Part):
    """One setting of the tuned knobs.

    Attributes:
        number: counted from 1.
        knobs: what was set, as one line.
        state: `finished`, `pruned` or `failed`.
        score: lower is better, None of a failed one.
        seconds: wall time.
        reason: why it failed.
        best: whether it won.
    """

    number: int
    knobs: str
    state: str
    score: float | None
    seconds: float
    reason: str = ""
    best: bool = False


class Night(Part):
    """One run of a pipeline, ready to be shown.

    Every part but the first five may be missing: a run that was refused has no scores, a
    refresh has no training.

    Attributes:
        pipeline: name of the pipeline.
        run: name of the run's folder.
        as_of: the moment the run pretended to be at.
        verdict: tonight in one sentence.
        tone: `good`, `warn` or `bad`: colours the verdict, never the only sign of it.
        ledger: rows in and out, in total.
        files: the same per source file.
        quality: the rules' results.
        scores: candidate (`challenger`, `champion`, `baseline`, the other baselines by name,
            `reference`) -> metric -> score.
        labels: candidate -> what to call it, e.g. `gru 20131201T000000Z-1a2b3c4d`.
        by_step: candidate -> MAE at steps 1..H.
        best_baseline: which of the baselines has the least error, and what it is.
        intervals: coverage and width of the candidates' intervals.
        groups: scores of parts of the series.
        decision: why the champion was replaced or kept, one sentence.
        promoted: whether it was replaced; None when nothing was trained.
        compared: what the gate's paired tests found.
        nominal: share of targets that the widest interval should cover.
        live: what came of the forecasts that are out, the oldest first.
        live_metric: by which their skill is measured.
        promises: live figures of the version that serves beside its backtest's.
        drift: how far each column has moved.
        consequence: what follows from these: `none`, `note`, `retrain`, `roll_back`, `baseline`.
        cutoffs: the backtest's cutoffs.
        timeline: training, holdout and backtest drawn as text.
        ablation: what each group of inputs is worth.
        tuning: what was tried, in order.
        history: (training loss, holdout loss) of each epoch.
        best_epoch: epoch (from 1) whose weights were kept; 0 for those begun with.
        begun: from scratch or from which version, and why.
        backtest_fans: best, median and worst series of the backtest at its last cutoff.
        classes: confusion, ROC and reliability of a target that is a class.
        forecast_fans: some series of the published forecast.
        forecast_head: first rows of the published forecast.
        steps: what ran and for how long.
        places: what -> where it is on disk.
        notes: warnings, one sentence each.
    """

    pipeline: str
    run: str
    as_of: datetime
    verdict: str
    tone: Literal["good", "warn", "bad"] = "good"
    ledger: Ledger | None = None
    files: tuple[FileLedger, ...] = ()
    quality: Verdict | None = None
    scores: dict[str, dict[str, float]] = {}
    labels: dict[str, str] = {}
    by_step: dict[str, tuple[float, ...]] = {}
    best_baseline: tuple[str, float] | None = None
    intervals: tuple[Interval, ...] = ()
    groups: tuple[Grouped, ...] = ()
    decision: str | None = None
    promoted: bool | None = None
    compared: tuple[Compared, ...] = ()
    nominal: float | None = None
    live: tuple[LiveNight, ...] = ()
    live_metric: str = ""
    promises: tuple[Promise, ...] = ()
    drift: tuple[Drifted, ...] = ()
    consequence: str = ""
    cutoffs: tuple[datetime, ...] = ()
    timeline: str = ""
    ablation: tuple[Ablated, ...] = ()
    tuning: tuple[Tried, ...] = ()
    history: tuple[tuple[float, float], ...] = ()
    best_epoch: int | None = None
    begun: str = ""
    backtest_fans: tuple[Fan, ...] = ()
    classes: ClassPlots | None = None
    forecast_fans: tuple[Fan, ...] = ()
    forecast_head: tuple[dict[str, object], ...] = ()
    steps: tuple[StepRecord, ...] = ()
    places: dict[str, str] = {}
    notes: tuple[str, ...] = ()
