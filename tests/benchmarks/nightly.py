"""What orchestration costs: the night through Prefect beside the same library calls in one script.

    python -m tests.benchmarks.nightly

Both run the sample's nightly deployment on an empty data root, the server already up. The last
line is JSON: flow_s, library_s, ratio.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def read_deployment() -> dict[str, object]:
    """Return the parameters of the deployment `nightly`."""
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    found = next(d for d in content["deployments"] if d["name"] == "nightly")
    return dict(found["parameters"])


def run_library(root: Path) -> None:
    """Do what the nightly flow does, without Prefect."""
    from seqmodel.backtesting import backtest_models
    from seqmodel.forecasting import forecast_table
    from seqmodel.promotion import promote_challenger
    from seqmodel.reporting.composing import Course, compose_night
    from seqmodel.reporting.html import render_html
    from seqmodel.specs import PipelineSpec
    from seqmodel.store.refs import ValidatedTableRef
    from seqmodel.store.runs import name_run
    from seqmodel.store.serving import elect_version
    from seqmodel.store.store import Store
    from seqmodel.store.tables import publish_table
    from seqmodel.table.ingesting import ingest_table
    from seqmodel.table.reading import look_at
    from seqmodel.training import train_model
    from seqmodel.windowing import make_windows
    from tasks.judging import judge

    parameters = read_deployment()
    spec = PipelineSpec.model_validate(parameters["spec"])
    as_of = datetime.fromisoformat(str(parameters["as_of"]))
    store = Store(root)
    source = look_at(spec.source)
    run = name_run(spec, as_of, source)
    table = ingest_table(store, run, as_of, source, spec)
    verdict = judge(store.find(table.key), spec, as_of)
    publish_table(store, table)
    judged = ValidatedTableRef(table=table, verdict=verdict)
    windows = make_windows(store, judged, spec)
    model = train_model(store, windows, spec, as_of, {"table": table.fingerprint}, lambda _: None)
    scores = backtest_models(store, run, table, {"challenger": model}, spec)
    decision = promote_challenger(store, run, model, scores, spec.promotion)
    serving = elect_version(store, spec, as_of, prefer=decision.serves)
    forecast = forecast_table(store, table, serving.model, spec)
    course = Course(
        run=run,
        judged=judged,
        challenger=model,
        scores=scores,
        decision=decision,
        serving=serving,
        forecast=forecast,
    )
    store.write_text(f"{run.key}/report.html", render_html(compose_night(store, course, spec)))


def time_library(root: Path) -> float:
    """Return the seconds of `run_library` in a process of its own, its imports included."""
    code = (
        "import sys; from pathlib import Path; from tests.benchmarks.nightly import run_library;"
        " run_library(Path(sys.argv[1]))"
    )
    begun = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", code, str(root)], check=True, cwd=ROOT, stderr=subprocess.DEVNULL
    )
    return time.monotonic() - begun


def time_flow(root: Path) -> float:
    """Return the seconds of the flow with the server up."""
    from prefect.testing.utilities import prefect_test_harness

    os.environ["SEQMODEL_DATA"] = str(root)
    os.chdir(ROOT)
    with prefect_test_harness(server_startup_timeout=120):
        from flows.nightly import nightly

        logging.getLogger("prefect").setLevel(logging.ERROR)
        begun = time.monotonic()
        nightly(**read_deployment())
        return time.monotonic() - begun


def main() -> None:
    """Measure both, one after the other, and print one line."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PREFECT_HOME"] = str(Path(folder) / "home")
        library = time_library(Path(folder) / "library")
        flow = time_flow(Path(folder) / "flow")
    figures = {"flow_s": flow, "library_s": library, "ratio": flow / library}
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
