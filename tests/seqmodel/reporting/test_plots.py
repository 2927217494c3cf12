"""Facts about the plots of a run."""

import math
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from seqmodel.reporting.night import Fan
from seqmodel.reporting.plots import (
    draw_error_by_step,
    draw_fan,
    draw_fan_png,
    draw_training,
)

FIRST = datetime(2013, 12, 1, tzinfo=UTC)


def build_fan(**changes):
    """A fan of three days and one day ahead."""
    at = [FIRST + timedelta(hours=i) for i in range(96)]
    wave = [20 + 10 * math.sin(i / 24 * math.tau) for i in range(24)]
    fan = {
        "series_id": "JFK",
        "label": "best",
        "score": 0.5,
        "history_at": at[:72],
        "history": wave * 3,
        "forecast_at": at[72:],
        "quantiles": {"0.1": [v - 3 for v in wave], "0.5": wave, "0.9": [v + 3 for v in wave]},
        "actual": [v + 1 for v in wave],
        "baseline": wave,
    }
    return Fan(**{**fan, **changes})


def draw_everything(fan):
    labels = {"challenger": "gru 20131201", "baseline": "seasonal naive"}
    return [
        draw_fan(fan),
        draw_error_by_step({"challenger": (1.0, 2.0), "baseline": (2.0, 3.0)}, labels),
        draw_training(((1.0, 1.1), (0.5, 0.8), (0.4, 0.9)), 2),
    ]


def read_texts(svg):
    return [e.text for e in ET.fromstring(svg).iter() if e.tag.endswith("text")]  # noqa: S314


def test_every_plot_is_wellformed_and_says_in_words_what_it_shows():
    for svg in draw_everything(build_fan()):
        root = ET.fromstring(svg)  # noqa: S314
        assert root.get("role") == "img"
        assert len(root.get("aria-label")) > 20


def test_same_input_gives_the_same_bytes():
    assert draw_everything(build_fan()) == draw_everything(build_fan())
    assert draw_fan_png(build_fan()) == draw_fan_png(build_fan())


def test_another_process_draws_the_same_bytes():
    code = (
        "import hashlib; from seqmodel.reporting.plots import draw_training;"
        "print(hashlib.sha256(draw_training(((1.0, 1.1), (0.5, 0.8)), 2).encode()).hexdigest())"
    )
    runs = {subprocess.check_output([sys.executable, "-c", code]) for _ in range(2)}
    assert len(runs) == 1


def test_ids_of_different_plots_on_one_page_do_not_clash():
    ids = []
    for svg in [*draw_everything(build_fan()), draw_fan(build_fan(label="worst"))]:
        ids += [e.get("id") for e in ET.fromstring(svg).iter() if e.get("id")]  # noqa: S314
    assert len(ids) == len(set(ids))


def test_colours_are_the_pages_variables_with_a_fallback():
    svg = draw_fan(build_fan())
    assert "var(--ink, #1f2328)" in svg
    assert "<style" not in svg
    assert "xlink" not in svg


def test_axes_carry_words_and_units():
    fan, by_step, training = (read_texts(svg) for svg in draw_everything(build_fan()))
    assert {"time (UTC)", "target", "observed", "80 % interval", "median", "baseline"} <= set(fan)
    assert "MAE (target's unit)" in by_step
    assert "challenger: gru 20131201" in by_step
    assert "epoch (passes over the training windows)" in training


def test_a_hostile_series_id_is_escaped():
    svg = draw_fan(build_fan(series_id='"><script>alert(1)</script>'))
    assert "<script" not in svg
    ET.fromstring(svg)  # noqa: S314


def test_dollars_and_underscores_in_a_label_are_only_letters():
    svg = draw_error_by_step({"_x": (1.0, 2.0), "champion": (1.0, 1.5)}, {"champion": r"$\oops{"})
    assert r"champion: $\oops{" in read_texts(svg)
    draw_fan_png(build_fan(series_id=r"$\oops{"))


def test_a_png_is_a_png_below_50_kilobytes():
    png = draw_fan_png(build_fan())
    assert png.startswith(b"\x89PNG\r\n")
    assert len(png) < 50_000


@pytest.mark.parametrize(
    "changes",
    [
        {"actual": (), "baseline": (), "score": None},
        {"history": [None] * 72},
        {"history_at": (), "history": ()},
        {"quantiles": {}},
        {"quantiles": {"0.5": [1.0] * 24}},
        {"quantiles": {"0.9": [math.nan] * 24, "0.1": [math.inf] * 24}},
        {"actual": [None, 3.0] * 12},
        {"forecast_at": [FIRST + timedelta(days=3)], "quantiles": {"0.1": [1.0], "0.9": [2.0]},
         "actual": [1.5], "baseline": [1.0]},
    ],
)  # fmt: skip
def test_a_fan_with_gaps_or_missing_parts_is_drawn(changes):
    fan = build_fan(**changes)
    ET.fromstring(draw_fan(fan))  # noqa: S314
    assert draw_fan_png(fan)


def test_short_and_broken_curves_are_drawn():
    for svg in (
        draw_training((), None),
        draw_training(((math.nan, math.inf),), 1),
        draw_error_by_step({"baseline": (1.0,)}, {}),
        draw_error_by_step({"baseline": ()}, {}),
    ):
        ET.fromstring(svg)  # noqa: S314


def test_drawing_leaves_the_callers_settings_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    draw_everything(build_fan())
    assert dict(mpl.rcParams) == before


def test_importing_the_plots_does_not_import_matplotlib():
    code = "import sys, seqmodel.reporting.plots; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_png_of_nothing_but_noise_stays_below_50_kilobytes():
    rng = random.Random(0)  # noqa: S311
    at = [FIRST + timedelta(hours=i) for i in range(504)]
    noise = [rng.gauss(0, 1) for _ in range(336)]
    levels = {q: [v + 4 * float(q) for v in noise[:168]] for q in ("0.05", "0.1", "0.9", "0.95")}
    fan = build_fan(
        series_id="JFK " * 40, history_at=at[:336], history=noise, forecast_at=at[336:],
        quantiles=levels, actual=noise[168:], baseline=noise[:168],
    )  # fmt: skip
    assert len(draw_fan_png(fan)) < 50_000
