"""An ensemble: its networks trained one by one, its weights learned on windows none of them saw.

member 1    train ------------| holdout ---------|        early stopping
member 2    train ------------| holdout ---------|
weights                         |--- learned ----|        on the steps that are holdout for all
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from seqmodel.calibrating import Span, calibrate, choose_cutoffs
from seqmodel.ensembling import combine_forecasts, learn_weights
from seqmodel.models.naive import Baseline
from seqmodel.panel import Panel
from seqmodel.predictors import Ensemble, Network, Predictor, Statistical
from seqmodel.scoring.real import take_actuals
from seqmodel.specs import Member, PipelineSpec, list_members
from seqmodel.training.fitting import Fitted, Progress, fit_model
from seqmodel.training.keeping import Keeper
from seqmodel.tuning import measure_errors, score_quantiles
from seqmodel.windowing import StoredWindows, cut_windows
from seqmodel.windows import index_cutoffs


def fit_ensemble(
    panel: Panel,
    spec: PipelineSpec,
    progress: Progress,
    cut: Callable[[Panel, PipelineSpec], StoredWindows] = cut_windows,
    keep: Callable[[Member], Keeper | None] = lambda _: None,
    note: Callable[[Member, Fitted], None] = lambda *_: None,
) -> Predictor:
    """Train what a spec asks for, in this process, and calibrate it.

    Args:
        panel: rows of S series.
        spec: the pipeline.
        progress: called about once a second.
        cut: encodes the panel for one member's spec and indexes its windows.
        keep: gives what keeps the state of a member's training for the next try.
        note: told about each network that is trained.

    Returns:
        What forecasts: `predict(panel, cutoffs, least)`.
    """
    networks, spans = [], []
    for member in list_members(spec):
        stored = cut(panel, member.spec)
        spans.append(find_span(panel, stored, member.spec))
        if member.baseline is None:
            fitted = fit_model(stored, member.spec, progress, keeper=keep(member))
            note(member, fitted)
            networks.append(Network(fitted.model, stored.fitted, member.spec))
    if spec.model.kind != "ensemble":
        return calibrate(networks[0], panel, spec, spans[0])
    return put_together(panel, spec, networks, spans)[0]


def find_span(panel: Panel, stored: StoredWindows, spec: PipelineSpec) -> Span:
    """Return the first and the last cutoff of the holdout's windows, and whose they are."""
    index, rows, lookback = stored.holdout, stored.rows, spec.window.lookback
    numbers = index.starts + lookback - 1 - rows.begins[index.series] + rows.first[index.series]
    last = int((numbers + (index.counts - 1) * index.stride).max())
    return Span(int(numbers.min()), last, tuple(panel.ids[s] for s in np.unique(index.series)))


def put_together(
    panel: Panel, spec: PipelineSpec, networks: Sequence[Predictor], spans: Sequence[Span]
) -> tuple[Predictor, Ensemble, float]:
    """Make one of trained members.

    Args:
        panel: rows of S series up to the end of the holdout at least.
        spec: the pipeline of the ensemble.
        networks: its networks, in the order of `list_members`; its baselines are measured here.
        spans: the holdout cutoffs of each member, and whose they are.

    Returns:
        What forecasts, the ensemble in it, and its mean pinball loss on the holdout in errors of
        the seasonal naive.
    """
    ids = tuple(panel.ids)
    for one in spans:
        ids = one.among(ids)
    span = Span(max(s.first for s in spans), min(s.last for s in spans), ids)
    season, levels, least = spec.source.season, spec.output.levels, spec.window.least_rows
    trained = iter(networks)
    members = tuple(
        Statistical(Baseline.fit(listed.baseline, panel, season, levels, span.first), spec)
        if listed.baseline
        else next(trained)
        for listed in list_members(spec)
    )
    unseen = set(span.among(panel.ids))
    few = panel
    if len(unseen) < len(panel.ids):
        few = panel.take(np.flatnonzero([series_id in unseen for series_id in panel.ids]))
    cutoffs = choose_cutoffs(span, spec.backtest.step, len(few.ids))
    windows = index_cutoffs(few.first, few.offsets, spec.window.lookback, cutoffs, least)
    actual = take_actuals(few, windows, spec)
    unit = measure_errors(few, season, span.first)[windows.series]
    whole = Ensemble(spec, members)
    forecasts = whole.predict_members(few, cutoffs, least)
    known = [member.levels for member in members]
    if spec.model.combine == "weights":
        weights = learn_weights(forecasts, known, levels, actual, unit)
        whole = Ensemble(spec, members, weights)
    said = combine_forecasts(forecasts, known, levels, spec.model.combine, whole.weights)
    return calibrate(whole, panel, spec, span), whole, score_quantiles(actual, said, levels, unit)
