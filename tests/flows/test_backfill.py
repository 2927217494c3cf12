"""Forecasts of the past: which moments, what they see, and that a second run finishes the first."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from flows.backfill import backfill
from flows.command import list_parameters, parse_flags
from seqmodel.backfilling import choose_moments, list_moments
from seqmodel.errors import SpecError
from seqmodel.store.forecasts import read_forecast
from seqmodel.store.store import Store
from tests.flows.test_nightly import AS_OF, make_spec

DAY = timedelta(days=1)


def published(root):
    return sorted(p.parent.name for p in root.glob("meters/forecasts/*/_manifest.json"))


def test_moments_are_those_from_start_to_end():
    assert list_moments(AS_OF - DAY, AS_OF, "12h") == (AS_OF - DAY, AS_OF - DAY / 2, AS_OF)
    with pytest.raises(SpecError, match="found --step 'often'"):
        list_moments(AS_OF - DAY, AS_OF, "often")
    with pytest.raises(SpecError, match="found 0 moments"):
        list_moments(AS_OF, AS_OF - DAY, "D")


def test_a_moment_is_missing_failed_or_published(tmp_path, meters_file):
    store, spec = Store(tmp_path), make_spec(meters_file)
    moments = tuple(AS_OF - n * DAY for n in (3, 2, 1))
    store.write_json("meters/forecasts/cutoff=20240204T230000Z/_manifest.json", {})
    store.write_json("meters/reports/20240206T000000Z-abc/night.json", {})
    assert choose_moments(store, spec, moments, "missing") == moments[1:]
    assert choose_moments(store, spec, moments, "failed") == moments[1:2]
    assert choose_moments(store, spec, moments, "all") == moments


def test_flags_of_the_backfill_are_words_with_dashes():
    own = list_parameters(backfill)
    flags = ["--name", "m", "--source.uri", "x", "--start", "2024-01-01T00:00Z"]
    _, found = parse_flags([*flags, "--end", "2024-01-02T00:00Z", "--dry-run", "true"], own)
    assert found.dry_run is True
    assert (found.start, found.step) == (datetime(2024, 1, 1, tzinfo=UTC), "D")
    with pytest.raises(SpecError, match="found no end"):
        parse_flags(flags, own)


@pytest.mark.usefixtures("harness")
def test_a_backfill_does_what_is_missing_from_the_data_as_known_then(meters_file, data_root):
    spec = make_spec(meters_file)
    what = {"spec": spec, "start": AS_OF - 2 * DAY, "end": AS_OF, "as_of": AS_OF}
    ref = backfill(**what, dry_run=True)
    assert not published(data_root)
    notes = json.loads((data_root / ref.night).read_text())["notes"]
    assert notes[0] == "3 of 3 moments are to be forecast"

    backfill(**{**what, "end": AS_OF - DAY})
    assert published(data_root) == ["cutoff=20240205T230000Z", "cutoff=20240206T230000Z"]
    manifest = data_root / "meters/forecasts/cutoff=20240205T230000Z/_manifest.json"
    before = manifest.stat().st_mtime_ns
    ref = backfill(**what)
    notes = json.loads((data_root / ref.night).read_text())["notes"]
    assert notes[0] == "1 of 3 moments are to be forecast"
    assert len(published(data_root)) == 3
    assert manifest.stat().st_mtime_ns == before
    rows = read_forecast(manifest.parent)
    assert rows["timestamp"][0].as_py() == AS_OF - 2 * DAY
