"""Wide CSV files: a date column, then a column a series; rows count as neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqmodel.errors import DataError, SourceError
from seqmodel.grid import Grid
from seqmodel.panel import Panel
from seqmodel.scaling import Scaler

Floats = NDArray[np.float64]

DAY = 86_400
#: Longest step of a month, a quarter, a year (days) and the alias of each.
CALENDAR = ((31, 28, "MS"), (92, 89, "QS"), (366, 365, "YS"))
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


@final
@dataclass(frozen=True)
class Wide:
    """A wide file.

    Attributes:
        names: C columns.
        numbers: R x C, NaN where blank.
        freq: pandas alias of the usual step between two rows.
        first: grid number of the first row.
    """

    names: tuple[str, ...]
    numbers: Floats
    freq: str
    first: int


def read_wide(path: Path, date: str = "date") -> Wide:
    """Read a wide file.

    Args:
        path: of the CSV.
        date: name of the column that says when.

    Raises:
        DataError: if there is no such column, it holds no moments, or another holds no numbers.
    """
    try:
        found = pd.read_csv(path)
    except (OSError, ValueError) as error:  # ValueError: pandas' parser, a wrong encoding
        reason = " ".join(str(error).split())
        raise SourceError(
            f"found {path} not readable ({reason}), needed a CSV; correct --data"
        ) from None
    if date not in found.columns:
        some = ", ".join(map(str, found.columns[:5]))
        raise DataError(
            f"found no column {date!r} in {path.name} ({some}, ...), needed one that says when;"
            " name it by --date"
        )
    moments = _read_moments(found.pop(date), path)
    if not len(found.columns) or len(found) < 2:
        raise DataError(
            f"found {len(found)} rows and {len(found.columns)} columns beside {date!r} in"
            f" {path.name}, needed two rows and a series at least; bring another file"
        )
    for name in found.columns:
        _refuse_text(found[name], path)
    freq = find_freq(moments)
    first = int(Grid(freq).number(moments[:1])[0])
    names = tuple(map(str, found.columns))
    return Wide(names, found.to_numpy(np.float64), freq, first)


def _read_moments(column: pd.Series[Any], path: Path) -> NDArray[np.int64]:
    moments = pd.to_datetime(column, errors="coerce", utc=True)
    if moments.isna().any():
        row = int(moments.isna().to_numpy().argmax())
        raise DataError(
            f"found {column.iloc[row]!r} in column {column.name!r}, row {row + 1} of {path.name},"
            " needed a moment such as 2016-07-01 00:00:00; correct it or name another by --date"
        )
    return moments.dt.as_unit("us").astype("int64").to_numpy()


def _refuse_text(column: pd.Series[Any], path: Path) -> None:
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = (numbers.isna() & column.notna()) | np.isinf(numbers)
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise DataError(
            f"found '{column.iloc[row]}' in column {column.name!r}, row {row + 1} of {path.name},"
            " needed finite numbers in all columns but the date; correct or remove it"
        )


def find_freq(moments: NDArray[np.int64]) -> str:
    """Return the alias of the usual step between moments (microseconds).

    Raises:
        DataError: if moments do not go forward.
    """
    step = round(float(np.median(np.diff(moments))) / 1e6)
    if step < 1:
        raise DataError(
            "found dates that do not go forward by a second or more, needed a row a step, oldest"
            " first; sort the file"
        )
    days = step / DAY
    for longest, shortest, alias in CALENDAR:
        if shortest <= days <= longest:
            return alias
    if step == 7 * DAY:
        return f"W-{WEEKDAYS[pd.Timestamp(int(moments[0]), unit='us').weekday()]}"
    for length, alias in ((DAY, "D"), (3600, "h"), (60, "min"), (1, "s")):
        if step % length == 0:
            count = step // length
            return alias if count == 1 else f"{count}{alias}"
    raise AssertionError(step)  # every whole number of seconds is one of seconds


def scale_wide(wide: Wide, train: int) -> Floats:
    """Return R x C standard scores, by mean and deviation of the first `train` rows."""
    count = len(wide.names)
    rows = wide.numbers.T.copy()
    rows[:, train:] = np.nan
    series = np.repeat(np.arange(count), rows.shape[1])
    scaler = Scaler.fit(rows.ravel(), series, count)
    return (wide.numbers - scaler.location) / scaler.spread


def make_panel(wide: Wide, values: Floats) -> Panel:
    """Return the panel of R x C values: series `0000`, `0001`, ... in the file's order."""
    count, rows = values.shape[1], values.shape[0]
    return Panel(
        grid=Grid(wide.freq),
        ids=[f"{number:06}" for number in range(count)],
        first=np.full(count, wide.first, dtype=np.int64),
        offsets=np.arange(count + 1, dtype=np.int64) * rows,
        cutoff=wide.first + rows - 1,
        horizon=0,
        values={"target": values.T.ravel()},
        labels={},
        static={},
    )
