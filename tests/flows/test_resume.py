"""The real command line, killed between steps and run again."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import HOME, ROOT, meters_spec

#: The command, and at its end what it has imported: the heavy libraries belong in its children.
COMMAND = """
import runpy, sys
sys.argv[0] = "flows/nightly.py"
try:
    runpy.run_module("flows.nightly", run_name="__main__")
finally:
    roots = {name.partition(".")[0] for name in sys.modules}
    print("imported", sorted(roots & {"tensorflow", "keras", "jax", "torch", "prefect"}))
"""


def start(tmp_path: Path, meters_file: Path) -> subprocess.Popen[str]:
    spec = meters_spec(meters_file)
    content = {"deployments": [{"name": "meters", "parameters": {"spec": spec}}]}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(content))
    flags = ["--deployment", "meters", "--prefect-file", str(tmp_path / "own.yaml")]
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *flags, "--as-of", "2024-02-08T00:00:00Z"],
        cwd=ROOT,
        env={**os.environ, "PREFECT_HOME": HOME, "SEQMODEL_DATA": str(tmp_path / "root")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.long
@pytest.mark.parametrize("step", ["window", "train"])
def test_a_run_killed_after_a_step_resumes_after_it(tmp_path, meters_file, step):
    killed = start(tmp_path, meters_file)
    seen = []
    for line in killed.stdout:
        seen.append(line)
        if f"step {step}: ran" in line:
            os.killpg(killed.pid, signal.SIGKILL)
            break
    assert killed.wait(60) == -signal.SIGKILL, "".join(seen)
    assert not (tmp_path / "root" / "meters" / "forecasts").exists()

    again = start(tmp_path, meters_file)
    out, _ = again.communicate(timeout=240)
    assert again.returncode == 0, out
    done = ["ingest", "validate", "window", "train"]
    for name in done[: done.index(step) + 1]:
        assert f"step {name}: taken from the cache" in out
    assert "step forecast: ran" in out
    assert "imported ['prefect']" in out
    night = json.loads(next((tmp_path / "root").rglob("night.json")).read_text())
    assert night["tone"] == "good"
    staging = tmp_path / "root" / "meters" / "staging"
    assert not [p for p in staging.rglob("*") if p.is_file() and "tmp-" not in str(p)]
