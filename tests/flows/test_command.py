import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from flows.command import parse_flags, run_command
from flows.nightly import nightly
from seqmodel.errors import SpecError
from seqmodel.store.fingerprints import digest_file
from tests.conftest import make_meters, meters_spec

AS_OF = "2024-02-08T00:00:00Z"


def write_deployments(path: Path, spec: dict, **parameters: object) -> Path:
    content = {"deployments": [{"name": "meters", "parameters": {"spec": spec, **parameters}}]}
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def deployments(tmp_path, meters_file) -> Path:
    return write_deployments(tmp_path / "own.yaml", meters_spec(meters_file), as_of=AS_OF)


def test_a_deployment_gives_the_spec_and_flags_go_before_it(deployments):
    flags = ["--deployment", "meters", "--prefect-file", str(deployments)]
    spec, settings = parse_flags([*flags, "--window.lookback", "30"])
    assert (spec.window.lookback, spec.window.horizon) == (30, 6)
    assert spec.source.known == ("plan",)
    assert settings.as_of.isoformat() == "2024-02-08T00:00:00+00:00"
    _, settings = parse_flags([*flags, "--as-of", "2024-01-20T00:00:00+01:00"])
    assert settings.as_of.isoformat() == "2024-01-20T00:00:00+01:00"


def test_flags_alone_are_a_spec():
    spec, settings = parse_flags(
        ["--name", "a", "--source.uri", "x", "--source.known", "p,q", "--features.lags", "24,48"]
    )
    assert spec.source.known == ("p", "q")
    assert spec.features.lags == (24, 48)
    assert settings.as_of is None


def test_the_environment_gives_no_knobs(monkeypatch):
    monkeypatch.setenv("NAME", "surprise")
    monkeypatch.setenv("AS_OF", AS_OF)
    with pytest.raises(SpecError, match="found no name"):
        parse_flags(["--source.uri", "x"])


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--window.lokback", "3"], "--window.lokback"),
        (["--window.lookback", "0"], "window.lookback = '0', needed it to be greater"),
        (["--window.lookback", "many"], "window.lookback = 'many'"),
        (["--output.quantiles", "0.9,0.5"], "output.quantiles"),
        (["--source.freq", "fortnightly"], "'fortnightly'"),
        (["--source.timezone", "Mars/Olympus"], "Mars/Olympus"),
        (["--model.kind", "oracle"], "model.kind"),
        (["--as-of", "2024-02-08"], "as-of = '2024-02-08', needed it to have timezone info"),
        (["--deployment", "other"], "no deployment 'other'"),
        (["--prefect-file", "nowhere.yaml"], "no nowhere.yaml"),
    ],
)
def test_a_wrong_flag_is_one_sentence(deployments, flags, says):
    given = ["--deployment", "meters", "--prefect-file", str(deployments)]
    with pytest.raises(SpecError) as refused:
        parse_flags([*given, *flags])
    sentence = str(refused.value)
    assert says in sentence
    assert "needed" in sentence
    assert "\n" not in sentence


def test_a_misspelt_knob_in_the_file_is_named_by_its_path(tmp_path, meters_file):
    spec = meters_spec(meters_file, window={"lokback": 3})
    own = write_deployments(tmp_path / "own.yaml", spec)
    with pytest.raises(SpecError, match=r"unknown knob window\.lokback"):
        parse_flags(["--deployment", "meters", "--prefect-file", str(own)])


def run_main(monkeypatch, *flags: str) -> int:
    """Run the command as a user would; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["nightly", *flags])
    try:
        run_command(nightly)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def state_of(root: Path) -> dict[str, str]:
    kept = ("tables", "models", "forecasts", "champion.json", "windows")
    return {
        str(p): digest_file(p)
        for p in sorted(root.rglob("*"))
        if p.is_file() and p.relative_to(root).parts[1] in kept
    }


@pytest.fixture(scope="module")
def served(harness, tmp_path_factory):
    """A data root with one good night behind it."""
    del harness
    folder = tmp_path_factory.mktemp("served")
    pq.write_table(make_meters(), folder / "good.parquet")
    own = write_deployments(folder / "own.yaml", meters_spec(folder / "good.parquet"), as_of=AS_OF)
    root = folder / "root"
    with pytest.MonkeyPatch.context() as patch:
        flags = ["--deployment", "meters", "--prefect-file", str(own), "--data-root", str(root)]
        assert run_main(patch, *flags) == 0
    return folder, own, root


def test_a_good_night_prints_forecast_scores_and_report(served, monkeypatch, capsys):
    _, own, root = served
    flags = ["--deployment", "meters", "--prefect-file", str(own), "--data-root", str(root)]
    assert run_main(monkeypatch, *flags) == 0
    out = capsys.readouterr().out
    assert f"forecast: {root}/meters/forecasts/cutoff=20240207T230000Z" in out
    for word in ("challenger", "champion", "baseline", "mase", "q0.5", "report.html", "from cache"):
        assert word in out, word


def spoil_nothing_there(folder: Path) -> Path:
    return folder / "missing.parquet"


def spoil_empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir(exist_ok=True)
    return folder / "empty"


def spoil_truncated(folder: Path) -> Path:
    whole = (folder / "good.parquet").read_bytes()
    (folder / "short.parquet").write_bytes(whole[: len(whole) // 2])
    return folder / "short.parquet"


def spoil_text(folder: Path) -> Path:
    (folder / "text.parquet").write_text("meter,at,load\n001,2024-01-01,3\n")
    return folder / "text.parquet"


def spoil_zero_bytes(folder: Path) -> Path:
    (folder / "zero.parquet").write_bytes(b"")
    return folder / "zero.parquet"


def rewrite(folder: Path, name: str, rows: pa.Table) -> Path:
    pq.write_table(rows, folder / name)
    return folder / name


def spoil_missing_column(folder: Path) -> Path:
    return rewrite(folder, "column.parquet", make_meters().drop_columns(["plan"]))


def spoil_wrong_type(folder: Path) -> Path:
    rows = make_meters()
    text = pc.cast(rows["load"], pa.string())
    return rewrite(folder, "type.parquet", rows.set_column(2, "load", text))


def spoil_naive(folder: Path) -> Path:
    rows = make_meters()
    naive = rows["at"].cast(pa.timestamp("us"))
    return rewrite(folder, "naive.parquet", rows.set_column(1, "at", naive))


def spoil_no_rows(folder: Path) -> Path:
    return rewrite(folder, "none.parquet", make_meters().slice(0, 0))


def spoil_infinite(folder: Path) -> Path:
    rows = make_meters()
    endless = pa.array([float("inf")] * rows.num_rows)
    return rewrite(folder, "endless.parquet", rows.set_column(2, "load", endless))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_nothing_there, "found no file at"),
        (spoil_empty_folder, "no Parquet file in the folder"),
        (spoil_truncated, "unreadable as Parquet"),
        (spoil_text, "unreadable as Parquet"),
        (spoil_zero_bytes, "unreadable as Parquet"),
        (spoil_missing_column, "found no column 'plan'"),
        (spoil_wrong_type, "'load'"),
        (spoil_naive, "declare source.timezone"),
        (spoil_no_rows, "needed history"),
        (spoil_infinite, "unusable"),
    ],
)
def test_bad_data_are_refused_in_one_line_with_exit_3(served, monkeypatch, capfd, spoil, says):
    folder, own, root = served
    before = state_of(root)
    flags = ["--deployment", "meters", "--prefect-file", str(own), "--data-root", str(root)]
    code = run_main(monkeypatch, *flags, "--source.uri", str(spoil(folder)))
    err = capfd.readouterr().err
    said = [line for line in err.splitlines() if line.startswith("seqmodel: ")]
    assert code == 3
    assert len(said) == 1
    assert says in said[0]
    assert "needed" in said[0]
    report = Path(said[0].rsplit("report: ", 1)[1].rstrip(")"))
    assert report.is_file()
    assert "Traceback" not in err
    assert state_of(root) == before


@pytest.mark.parametrize("flags", [["--window.lookback", "5000"], ["--backtest.cutoffs", "1000"]])
def test_windows_longer_than_every_series_are_refused(served, monkeypatch, capfd, flags):
    _, own, root = served
    before = state_of(root)
    given = ["--deployment", "meters", "--prefect-file", str(own), "--data-root", str(root)]
    code = run_main(monkeypatch, *given, *flags)
    err = capfd.readouterr().err
    assert code in (2, 3)
    said = [line for line in err.splitlines() if line.startswith("seqmodel: ")]
    assert len(said) == 1
    assert flags[1] in said[0].replace(",", "") or "history" in said[0]
    assert state_of(root) == before


def test_a_wrong_spec_exits_2_in_one_line(served, monkeypatch, capfd):
    _, own, root = served
    before = state_of(root)
    flags = ["--deployment", "meters", "--prefect-file", str(own), "--data-root", str(root)]
    assert run_main(monkeypatch, *flags, "--window.lokback", "3") == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert state_of(root) == before


def test_help_names_every_knob_with_its_default(monkeypatch, capsys):
    assert run_main(monkeypatch, "--help") == 0
    out = capsys.readouterr().out
    for knob in ("--window.lookback", "--train.learning_rate", "--as-of", "--data-root"):
        assert knob in out
    assert "(default: 168)" in " ".join(out.split())


def test_champion_json_is_what_readers_expect(served):
    _, _, root = served
    pointer = json.loads((root / "meters" / "champion.json").read_text())
    assert (root / "meters" / "models" / pointer["version"] / "manifest.json").is_file()
