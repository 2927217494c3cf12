"""Recipes of the accuracy benchmarks: spec files, filled in with what the data say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from seqmodel.errors import SpecError
from seqmodel.grid import Grid
from seqmodel.specs import PipelineSpec, SourceSpec

FOLDER = Path(__file__).with_name("recipes")
#: What a recipe may not say: it comes from the command line and the data.
GIVEN = ("name", "source")
#: Tokens that a lookback is cut into at least, where it is long enough.
LEAST_TOKENS = 4
DAYS_A_WEEK = 7
#: Microseconds of a day.
DAY = 86_400_000_000
#: What `--quick` replaces: a run that shows that everything works.
QUICK = {
    "model": {"units": 8},
    "train": {"epochs": 1, "windows_per_epoch": 256, "batch_size": 128},
}


def read_recipe(path: Path) -> dict[str, Any]:
    """Return the sections of a recipe.

    Raises:
        SpecError: if the file is missing, no YAML, or says what the data say.
    """
    try:
        found = yaml.safe_load(path.read_text())
    except OSError as error:
        raise SpecError(
            f"found {path} not readable ({error.strerror}), needed a recipe; correct --spec"
        ) from None
    except yaml.YAMLError as error:
        raise SpecError(f"found {path} not to be YAML ({error}), needed it so; mend it") from None
    if not isinstance(found, dict) or any(not isinstance(one, dict) for one in found.values()):
        raise SpecError(
            f"found {path} without sections of a spec, needed model, output, train, ...; write"
            " each as a mapping"
        )
    for name in GIVEN:
        if name in found:
            raise SpecError(
                f"found section {name!r} in {path}, needed none: the data say it; take it out"
            )
    return found


def merge(sections: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return sections with some knobs replaced."""
    return {name: {**sections.get(name, {}), **more.get(name, {})} for name in {**sections, **more}}


def choose_season(freq: str) -> int:
    """Return the steps of the season that data of a freq are thought to have."""
    return SourceSpec(uri="in memory", freq=freq).season


def choose_cycle(freq: str, season: int) -> int | None:
    """Return the steps of a longer cycle, the week of what is measured within days, or None."""
    step = Grid(freq).step
    return season * DAYS_A_WEEK if step is not None and step < DAY and season > 1 else None


def choose_segment(season: int, lookback: int, horizon: int) -> int:
    """Return the season, or the part of it of which a short lookback holds some."""
    most = max(min(season, horizon, lookback // LEAST_TOKENS), 1)
    whole = max(width for width in range(1, most + 1) if season % width == 0)
    # Segments go in step with the season, unless that makes them much too short.
    return whole if 2 * whole >= most else most


def fill_recipe(
    recipe: dict[str, Any],
    *,
    name: str,
    freq: str,
    season: int,
    cycle: int | None,
    lookback: int,
    horizon: int,
    least: int | None = None,
) -> PipelineSpec:
    """Return the spec of a recipe for some data.

    What the recipe itself says about segment, cycle and history counts before what the data say.

    Raises:
        SpecError: in one sentence that names the knob.
    """
    kind = recipe.get("model", {}).get("kind")
    known = {"segment": choose_segment(season, lookback, horizon), "cycle": cycle}
    derived = {
        "window": {"lookback": lookback, "horizon": horizon, "minimum_history": least},
        "model": known if kind in {"segment", "attention", "ensemble"} else {},
    }
    source = {"uri": "in memory", "freq": freq, "season_length": season}
    try:
        return PipelineSpec.model_validate(
            {"name": name, "source": source, **merge(derived, recipe)}
        )
    except ValidationError as error:
        from flows.command import describe_invalid

        raise SpecError(describe_invalid(error)) from None


def set_knobs(recipe: dict[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """Return a recipe with knobs replaced that are written as `section.knob=value`.

    Raises:
        SpecError: if a word is not written so.
    """
    for word in words:
        path, sign, value = word.partition("=")
        section, dot, knob = path.partition(".")
        if not (sign and dot and section and knob):
            raise SpecError(
                f"found --set {word!r}, needed section.knob=value such as train.seed=1; correct it"
            )
        recipe = merge(recipe, {section: {knob: yaml.safe_load(value)}})
    return recipe


def choose_recipe(path: Path, words: Sequence[str], *, quick: bool) -> dict[str, Any]:
    """Return a recipe, made quick where asked for, with the knobs of `words` replaced."""
    recipe = read_recipe(path)
    return set_knobs(merge(recipe, QUICK) if quick else recipe, words)
