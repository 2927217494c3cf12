"""Every knob is described, bounded and spelt right, or refused with its path."""

import re
from typing import get_args

import pytest
from pydantic import BaseModel, ValidationError

from seqmodel.models.registry import KINDS, MODELS
from seqmodel.specs import ModelSpec, PipelineSpec, SourceSpec
from tests.seqmodel.small import make_spec

SPEC = {"name": "demand", "source": {"uri": "x.parquet"}}
#: Numbers without a unit.
BARE = {
    "train.seed",
    "train.learning_rate",
    "train.clip_norm",
    "output.quantiles",
    "model.kernel_l2",
    "model.recurrent_l2",
}


def list_knobs(model=PipelineSpec, path=""):
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from list_knobs(kind, f"{path}{name}.")
        else:
            yield f"{path}{name}", field


KNOBS = dict(list_knobs())


def holds_numbers(kind):
    return kind in {int, float} or any(holds_numbers(inner) for inner in get_args(kind))


@pytest.mark.parametrize("knob", KNOBS)
def test_a_knob_has_a_description(knob):
    assert len(KNOBS[knob].description or "") > 10


@pytest.mark.parametrize("knob", [k for k, f in KNOBS.items() if holds_numbers(f.annotation)])
def test_a_quantity_has_its_unit_in_brackets_or_is_a_share(knob):
    says = KNOBS[knob].description
    assert knob in BARE or re.search(r"\([^)]+\)", says) or "share" in says


def test_the_names_that_others_check_are_there():
    assert {
        "name",
        "source.uri",
        "source.series_id",
        "source.timestamp",
        "source.target",
        "source.freq",
        "source.timezone",
        "source.past",
        "source.known",
        "source.static",
        "window.lookback",
        "window.horizon",
        "window.stride",
        "model.kind",
        "model.units",
        "model.layers",
        "model.dropout",
        "output.kind",
        "output.quantiles",
        "train.epochs",
        "train.batch_size",
        "train.learning_rate",
        "train.seed",
        "backtest.cutoffs",
        "backtest.step",
    } <= set(KNOBS)


def test_the_kinds_of_model_are_those_of_the_registry():
    assert set(get_args(ModelSpec.model_fields["kind"].annotation)) == set(KINDS)


def test_the_defaults_make_a_pipeline():
    assert PipelineSpec.model_validate(SPEC).window.lookback == 168


def test_a_spec_survives_json():
    spec = make_spec()
    assert PipelineSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_spec_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        make_spec().window.lookback = 3


@pytest.mark.parametrize(
    ("section", "value", "path"),
    [
        ("window", {"lokback": 3}, "window.lokback"),
        ("train", {"epoch": 3}, "train.epoch"),
        ("source", {"uri": "x", "knwon": ["a"]}, "source.knwon"),
        ("windows", {}, "windows"),
    ],
)
def test_an_unknown_knob_is_refused_with_its_path(section, value, path):
    with pytest.raises(ValidationError) as caught:
        PipelineSpec.model_validate({**SPEC, section: value})
    assert [".".join(map(str, e["loc"])) for e in caught.value.errors()] == [path]


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("window", {"lookback": 0}),
        ("window", {"horizon": 0}),
        ("window", {"stride": 0}),
        ("window", {"minimum_history": 0}),
        ("features", {"rolling": [{"steps": 1}]}),
        ("train", {"windows_per_epoch": 0}),
        ("train", {"half_life": 0}),
        ("train", {"learning_rate": float("nan")}),
        ("train", {"holdout": 0}),
        ("model", {"kind": "transformer"}),
        ("model", {"dropout": 1}),
        ("backtest", {"cutoffs": 0}),
        ("promotion", {"margin": 1}),
        ("name", "Two Words"),
        ("name", ""),
    ],
)
def test_a_value_out_of_bounds_is_refused(section, value):
    with pytest.raises(ValidationError):
        PipelineSpec.model_validate({**SPEC, section: value})


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"source": {"uri": "x", "past": ["target"]}}, "column 'target' as target and as input"),
        ({"source": {"uri": "x", "past": ["a"], "known": ["a"]}}, "'a' in two roles"),
        ({"source": {"uri": "x", "timezone": "Mars/Olympus"}}, "IANA"),
        ({"source": {"uri": "x", "timezone": "../etc/passwd"}}, "IANA"),
        ({"source": {"uri": "x", "freq": "-1h"}}, "positive step"),
        ({"source": {"uri": "x", "freq": "hourly"}}, "positive step"),
        ({"source": {"uri": "x", "freq": ""}}, "positive step"),
        ({"quality": {"minimum": 2, "maximum": 1}}, "swap them"),
        ({"forecast": {"minimum": 2, "maximum": 1}}, "swap them"),
        ({"output": {"quantiles": [0.9, 0.5]}}, "ascending"),
        ({"output": {"quantiles": [0.1, 0.9]}}, "0.5 among them"),
        ({"output": {"quantiles": [0.5, 1.0]}}, "between 0 and 1"),
        ({"features": {"lags": [23]}}, "window.horizon 24"),
        ({"features": {"lags": [24, 24]}}, "24 twice"),
        ({"features": {"rolling": [{"steps": 9}, {"steps": 9}]}}, "9 steps twice"),
        ({"source": {"uri": "x", "categorical": ["a"]}}, "needed a covariate"),
        ({"model": {"units": []}}, "at least"),
        ({"model": {"units": [8, 0]}}, "from 1 to 4096"),
        ({"features": {"in_target_unit": ["plan"]}}, "source.known"),
    ],
)
def test_a_contradiction_is_refused_in_a_sentence(sections, sentence):
    with pytest.raises(ValidationError) as caught:
        PipelineSpec.model_validate({**SPEC, **sections})
    message = caught.value.errors()[0]["msg"]
    assert sentence in message
    assert "found" in message
    assert "needed" in message


@pytest.mark.parametrize(
    ("freq", "season"),
    [
        ("15min", 96),
        ("h", 24),
        ("2h", 12),
        ("s", 86_400),
        ("D", 7),
        ("7D", 1),
        ("B", 5),
        ("W", 52),
        ("W-MON", 52),
        ("2W-MON", 26),
        ("MS", 12),
        ("ME", 12),
        ("3MS", 4),
        ("QS", 4),
        ("YS", 1),
        ("YE-MAR", 1),
    ],
)
def test_the_season_suits_the_freq(freq, season):
    assert SourceSpec(uri="x", freq=freq).season == season


def test_a_season_given_wins():
    assert SourceSpec(uri="x", freq="h", season_length=168).season == 168


def test_a_point_forecast_has_the_one_level():
    assert make_spec(output={"kind": "point", "quantiles": [0.1, 0.5]}).output.levels == (0.5,)


def test_the_form_takes_one_id_column_by_name_or_several():
    # The server checks parameters against this schema before the spec ever sees them.
    schema = SourceSpec.model_json_schema()["properties"]["series_id"]
    assert {"type": "string"} in schema["anyOf"]
    assert SourceSpec(uri="x", series_id="meter").series_id == ("meter",)
    assert SourceSpec(uri="x", series_id=["a", "b"]).series_id == ("a", "b")


COUNTS = {"kind": "negative_binomial"}
MEAN_ABS = {"series": "mean_abs"}


@pytest.mark.parametrize(
    ("sections", "found", "needed"),
    [
        ({}, "scaling.series 'standard'", "scaling.series mean_abs"),
        (
            {"scaling": {**MEAN_ABS, "transform": "log1p"}},
            "scaling.transform 'log1p'",
            "scaling.transform none",
        ),
        (
            {"scaling": {**MEAN_ABS, "window": "last"}},
            "scaling.window 'last'",
            "scaling.window none",
        ),
        (
            {"scaling": MEAN_ABS, "model": {"kind": "segment"}},
            "model.normalise 'last'",
            "model.normalise none",
        ),
        (
            {"scaling": {"transform": "asinh", "window": "robust"}},
            "scaling.series 'standard', scaling.transform 'asinh', scaling.window 'robust'",
            "scaling.series mean_abs, scaling.transform none, scaling.window none",
        ),
    ],
)
def test_counts_in_another_scale_than_multiples_of_the_mean_are_refused(sections, found, needed):
    with pytest.raises(ValidationError) as caught:
        PipelineSpec.model_validate({**SPEC, "output": COUNTS, **sections})
    message = caught.value.errors()[0]["msg"]
    assert f"found output.kind negative_binomial with {found}, needed {needed}:" in message
    assert "set these or choose another distribution" in message


@pytest.mark.parametrize(
    "model", [{"kind": "gru"}, {"kind": "segment", "normalise": "none"}, {"kind": "seq2seq"}]
)
def test_counts_in_multiples_of_the_mean_are_let_through(model):
    spec = {**SPEC, "output": COUNTS, "scaling": MEAN_ABS, "model": model}
    assert PipelineSpec.model_validate(spec).output.kind == "negative_binomial"


def test_a_kind_reads_its_own_knobs_and_those_of_all():
    assert ModelSpec(kind="segment").reads("normalise")
    assert not ModelSpec(kind="gru").reads("normalise")
    assert all(ModelSpec(kind=kind).reads("units") for kind in MODELS)


@pytest.mark.parametrize(
    ("window", "training", "forecast"),
    [
        ({"lookback": 48, "horizon": 6}, 6, 1),
        ({"lookback": 4, "horizon": 6}, 4, 1),
        ({"lookback": 48, "horizon": 6, "minimum_history": 20}, 20, 1),
        ({"lookback": 48, "horizon": 6, "minimum_history": 99}, 48, 1),
        ({"lookback": 48, "horizon": 6, "minimum_history": 20, "short": "drop"}, 48, 48),
    ],
)
def test_the_history_a_series_must_have(window, training, forecast):
    spec = make_spec(window=window).window
    assert (spec.least_history, spec.least_rows) == (training, forecast)


@pytest.mark.parametrize("region", ["DE", "DE-BY", "US-NY", "GB-ENG"])
def test_a_region_of_holidays_is_a_country_and_perhaps_a_part(region):
    assert make_spec(features={"holidays": region}).features.holidays == region
