"""Draw the report of a run again, with the report's newest look, from what the run wrote down.

python -m flows.report --run departures/20131201T000000Z-ec088707
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, CliSettingsSource, SettingsConfigDict, SettingsError

from flows.command import describe_invalid
from seqmodel.errors import SeqmodelError, SpecError
from seqmodel.reporting.html import render_html
from seqmodel.reporting.night import Night
from seqmodel.store.store import ROOT_VARIABLE, Store


class ReportSettings(BaseSettings):
    """Which report is drawn again."""

    model_config = SettingsConfigDict(
        extra="forbid", cli_exit_on_error=False, cli_hide_none_type=True
    )

    run: str = Field(description="<pipeline>/<run>, or the run alone; `newest` for the last one")
    data_root: Path | None = Field(
        None, alias="data-root", description="folder of the outputs; also SEQMODEL_DATA"
    )


def redraw(store: Store, run: str) -> Path:
    """Draw a report again and put it in the place of the old one, atomically.

    Args:
        store: the data root.
        run: `<pipeline>/<run>`, the run alone, or `newest`.

    Returns:
        Where the report is.

    Raises:
        SpecError: if there is no such run, or several.
    """
    folder = _find(store, run)
    key = folder.relative_to(store.root).as_posix()
    night = Night.model_validate(store.read_json(f"{key}/night.json"))
    store.write_text(f"{key}/report.html", render_html(night))
    return folder / "report.html"


def _find(store: Store, run: str) -> Path:
    nights = sorted(store.root.glob("*/reports/*/night.json"), key=lambda p: p.stat().st_mtime)
    if run == "newest" and nights:
        return nights[-1].parent
    pipeline, _, name = run.rpartition("/")
    found = [
        path.parent
        for path in nights
        if path.parent.name == name and pipeline in {"", path.parent.parent.parent.name}
    ]
    if len(found) != 1:
        names = ", ".join(f"{p.parents[2].name}/{p.parents[0].name}" for p in nights[-3:])
        raise SpecError(
            f"found {len(found)} runs {run!r} below {store.root}, needed one; give --run"
            f" <pipeline>/<run>, such as {names or 'those of python -m flows.nightly'}"
        )
    return found[0]


def main() -> int:
    """Draw the report that the command line names; 2 if there is none such."""
    try:
        source = CliSettingsSource[ReportSettings](
            ReportSettings, cli_parse_args=sys.argv[1:], cli_exit_on_error=False
        )
        settings = ReportSettings(**source())
        if settings.data_root is not None:
            os.environ[ROOT_VARIABLE] = str(settings.data_root)
        sys.stdout.write(f"report: {redraw(Store.from_environment(), settings.run)}\n")
    except ValidationError as error:
        return _refuse(SpecError(describe_invalid(error)))
    except SettingsError as error:
        reason = str(error).replace("\n", " ").removeprefix("error parsing CLI: ")
        return _refuse(SpecError(f"found {reason}, needed flags as --help lists them"))
    except SeqmodelError as error:
        return _refuse(error)
    return 0


def _refuse(error: SeqmodelError) -> int:
    sys.stderr.write(" ".join(f"seqmodel: {error}".split()) + "\n")
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
