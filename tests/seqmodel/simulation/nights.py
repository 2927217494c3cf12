"""Nights of a pipeline that follow one another, in the library, without Prefect.

Series on a grid of three hours: a daily season, a level that wanders, and a plan that is known
ahead, whose effect grows from day to day. What is planted is planted in the data or in the store,
never in the code that is to cope with it.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqmodel.backtesting import backtest_models
from seqmodel.forecasting import forecast_table, predict_quantiles
from seqmodel.metrics import measure_scale
from seqmodel.monitoring.watching import watch
from seqmodel.promotion import promote_challenger
from seqmodel.scoring.real import take_actuals
from seqmodel.specs import PipelineSpec
from seqmodel.store.forecasts import read_forecast
from seqmodel.store.refs import DecisionRef, ForecastRef, ModelRef, RunRef, ValidatedTableRef
from seqmodel.store.rolling_back import roll_back
from seqmodel.store.serving import elect_version
from seqmodel.store.store import Store
from seqmodel.store.watched import WatchRef
from seqmodel.training import train_model
from seqmodel.windowing import load_panel, make_windows
from tests.seqmodel.small import START, put_table

SERIES = 16
#: Steps of a day, days of history before the first night.
DAY, HISTORY = 8, 18
#: Nights of a simulation.
NIGHTS = 30
SPEC = PipelineSpec.model_validate(
    {
        "name": "sim",
        "source": {"uri": "x", "freq": "3h", "known": ["plan"], "season_length": DAY},
        "window": {"lookback": DAY, "horizon": DAY, "stride": 1},
        "model": {"units": 16, "dropout": 0.0},
        "features": {"calendar": []},
        "train": {
            "epochs": 5, "batch_size": 255, "learning_rate": 0.03, "windows_per_epoch": 1020,
            "warm_start": True, "scratch_every": 60, "holdout": 0.05,
        },
        "backtest": {"cutoffs": 6, "step": DAY},
        # So short a training leaves a bias, which is not what these nights are about.
        "promotion": {"bias_rise": 0.3},
        "monitor": {"days": 2, "drift": "retrain", "window": DAY},
    }
)  # fmt: skip


def make_world(regime=None, change="level", seed=0):
    """Rows of all days.

    From the day of a regime change on every series is higher and the plan pulls the other way, or
    the plan comes in another `unit`.
    """
    rng = np.random.default_rng(seed)
    steps = np.arange(DAY * (HISTORY + NIGHTS + 1))
    moments = np.datetime64(START.replace(tzinfo=None), "us") + steps * np.timedelta64(3, "h")
    parts = []
    for s in range(SERIES):
        level = 50 + 2 * s + np.cumsum(rng.normal(0, 0.1, len(steps)))
        plan = (rng.random(len(steps)) < 0.3).astype(np.float64)
        effect = 6 + 0.1 * steps / DAY
        season = 10 * np.sin(2 * np.pi * (steps + s) / DAY)
        after = steps >= DAY * regime if regime is not None else np.zeros(len(steps), dtype=bool)
        if change == "level":
            effect, level = np.where(after, -effect, effect), np.where(after, level + 40, level)
        target = level + season + effect * plan + rng.normal(0, 1, len(steps))
        parts.append(
            pa.table(
                {
                    "series_id": [f"{s:03}"] * len(steps),
                    "timestamp": pa.array(moments).cast(pa.timestamp("us", tz="UTC")),
                    "target": target,
                    "plan": np.where(after, 5 * plan, plan) if change == "unit" else plan,
                }
            )
        )
    return pa.concat_tables(parts)


def put_until(store: Store, world: pa.Table, day: int, spec: PipelineSpec) -> ValidatedTableRef:
    """The rows before a day, and the plan of that day."""
    ends = [pa.scalar(START + timedelta(days=d), world["timestamp"].type) for d in (day, day + 1)]
    until, known = (world.filter(pc.less(world["timestamp"], end)) for end in ends)
    ahead = known.filter(pc.greater_equal(known["timestamp"], ends[0]))
    return put_table(store, until, spec, ahead.drop_columns(["target"]))


def shuffle_targets(table, seed=0):
    """The same rows with targets that belong to other moments."""
    target = table["target"].to_numpy().copy()
    np.random.default_rng(seed).shuffle(target)
    return table.set_column(table.schema.get_field_index("target"), "target", pa.array(target))


@dataclass
class Night:
    """What one night did.

    Attributes:
        day: its number; everything before it is history.
        watched: what came and moved.
        challenger: trained tonight.
        replaced: version that the challenger replaced, None where it replaced none.
        decision: of the gate.
        forecast: what was published.
        notes: what was said about the version that serves.
    """

    day: int
    watched: WatchRef
    challenger: ModelRef
    replaced: str | None
    decision: DecisionRef
    forecast: ForecastRef
    notes: tuple[str, ...]


def run_night(store, world, day, spec=SPEC, *, bad=False):
    """One night as the flow has it; a bad one's challenger learns from shuffled targets."""
    as_of = START + timedelta(days=day)
    run = RunRef(pipeline=spec.name, run=f"{as_of:%Y%m%dT%H%M%SZ}-night", as_of=as_of)
    judged = put_until(store, world, day, spec)
    serving = elect_version(store, spec, as_of)
    watched = watch(store, run, judged.table, serving.model, spec)
    why = "; ".join(watched.reasons)
    if watched.action in {"roll_back", "baseline"} and serving.model:
        to = "previous" if watched.action == "roll_back" else "baseline"
        roll_back(store, spec.name, to, why, as_of)
    parent = elect_version(store, spec, as_of - timedelta(microseconds=1)).model
    taught = put_until(store, shuffle_targets(world), day, spec) if bad else judged
    challenger = train_model(
        store, make_windows(store, taught, spec), spec, as_of, {"table": taught.table.fingerprint},
        lambda _: None, parent, why if watched.action == "retrain" else None,
    )  # fmt: skip
    models = {"challenger": challenger}
    rival = elect_version(store, spec, as_of, instead_of=challenger.version)
    if rival.model:
        models["champion"] = rival.model
    scores = backtest_models(store, run, judged.table, models, spec)
    decision = promote_challenger(store, run, challenger, scores, spec.promotion)
    chosen = elect_version(store, spec, as_of, prefer=decision.serves)
    forecast = forecast_table(store, judged.table, chosen.model, spec)
    replaced = rival.model.version if rival.model and decision.promoted else None
    notes = (*serving.notes, *rival.notes, *chosen.notes)
    return Night(day, watched, challenger, replaced, decision, forecast, notes)


def compare_next_day(store, world, night, spec=SPEC):
    """Scaled errors of the promoted model less those of the one it replaced, a series each."""
    judged = put_until(store, world, night.day + 1, spec)
    later = load_panel(store, judged.table, spec)
    cutoff = np.array([later.cutoff - spec.window.horizon])
    errors = []
    for version in (night.challenger.version, night.replaced):
        windows, values = predict_quantiles(store, f"{spec.name}/models/{version}", later, cutoff)
        actual = take_actuals(later, windows, spec)
        errors.append(np.abs(values[:, :, spec.output.levels.index(0.5)] - actual).mean(axis=1))
    until = later.offsets[:-1] + cutoff[0] + 1 - later.first
    scale = measure_scale(later.values["target"], later.offsets, spec.source.season, until)
    return (errors[0] - errors[1]) / scale


def count_rows(store, forecast):
    """Rows that a reader of a published forecast finds."""
    return read_forecast(store.path(forecast.key)).num_rows
