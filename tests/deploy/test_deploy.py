"""Compose file, image and systemd units name what there is, and open nothing by themselves.

No container engine is needed: `docker compose config` judges the file where it is at hand.
"""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess

import pytest
import yaml
from prefect.settings import Settings

from tests.conftest import ROOT

FOLDER = ROOT / ".deploy"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
UNITS = sorted((FOLDER / "systemd").glob("*.service"))
DOCKERFILE = (FOLDER / "Dockerfile").read_text().replace("\\\n", " ")
OWN = {
    *("SEQMODEL_DATA", "SEQMODEL_REPORTS_URL", "SEQMODEL_REPORTS_HOST", "SEQMODEL_REPORTS_PORT"),
    *("PREFECT_HOME", "DO_NOT_TRACK", "TF_CPP_MIN_LOG_LEVEL"),
    *("POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"),
}


def list_known_settings():
    """Names of the environment that Prefect reads."""
    found = set()

    def walk(model, prefix):
        for name, field in model.model_fields.items():
            inner = field.annotation
            path = f"{prefix}_{name}"
            if isinstance(inner, type) and hasattr(inner, "model_fields"):
                walk(inner, path)
            others = getattr(field.validation_alias, "choices", ())
            names = (path, *(one for one in others if isinstance(one, str)))
            found.update(name.upper() for name in names)

    walk(Settings, "prefect")
    return found


def read_unit(path):
    """Pairs of a unit's name and value; a name may come several times."""
    lines = (line for line in path.read_text().splitlines() if line[:1].isalpha())
    return [tuple(line.split("=", 1)) for line in lines]


def list_commands():
    for name, service in SERVICES.items():
        if isinstance(service.get("command"), list):
            yield name, service["command"]
    for path in UNITS:
        for key, line in read_unit(path):
            if key.startswith("ExecStart"):
                yield path.stem, shlex.split(line)


@pytest.mark.parametrize(("who", "words"), list(list_commands()))
def test_every_module_that_is_started_is_there(who, words):
    script = words[-1] if words[0] == "sh" else shlex.join(words)
    modules = re.findall(r"python3? -m (\S+)", script)
    assert modules or "prefect " in script, who
    assert all(importlib.util.find_spec(name) for name in modules)


def test_every_variable_is_one_that_somebody_reads():
    named = {v for s in SERVICES.values() for v in s.get("environment", {})}
    named |= set(re.findall(r"^(?:ENV |    )([A-Z_]+)=", DOCKERFILE, flags=re.MULTILINE))
    for path in UNITS:
        for key, line in read_unit(path):
            if key == "Environment":
                named |= {pair.partition("=")[0] for pair in shlex.split(line)}
    assert named - OWN <= list_known_settings()
    assert {"PREFECT_SERVER_DATABASE_CONNECTION_URL", "SEQMODEL_DATA"} <= named


def test_ports_are_of_this_machine_only_and_secrets_come_from_outside():
    ports = [port for s in SERVICES.values() for port in s.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    text = (FOLDER / "compose.yaml").read_text()
    assert "${SEQMODEL_SECRET:?" in text
    assert "${POSTGRES_PASSWORD:?" in text
    for path in UNITS:
        assert "EnvironmentFile=-/etc/seqmodel.env" in path.read_text()
        assert "0.0.0.0" not in path.read_text()  # noqa: S104 - looked for, not bound


def test_services_wait_for_those_that_are_there_and_share_the_outputs():
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in COMPOSE["volumes"], name
    assert {"database", "server", "worker", "reports"} <= set(SERVICES)


def test_the_image_takes_what_there_is_and_ends_as_somebody_else_than_root():
    sources = re.findall(r"^COPY (.+) \S+$", DOCKERFILE, flags=re.MULTILINE)
    names = [name for line in sources for name in line.split()]
    assert all((ROOT / name).exists() for name in names)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{name}" for name in names} <= set(ignored)
    assert "--constraint constraints.txt" in DOCKERFILE
    assert re.findall(r"^USER (\w+)$", DOCKERFILE, flags=re.MULTILINE)[-1] == "seqmodel"


def find_compose():
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    docker = shutil.which("docker")
    asked = docker and subprocess.run(
        [docker, "compose", "version"], capture_output=True, check=False
    )
    return ["docker", "compose"] if asked and asked.returncode == 0 else None


@pytest.mark.skipif(find_compose() is None, reason="found no docker compose, needed it")
def test_compose_itself_accepts_the_file():
    done = subprocess.run(
        [*find_compose(), "-f", str(FOLDER / "compose.yaml"), "config", "-q"],
        env={**os.environ, "SEQMODEL_SECRET": "admin:x", "POSTGRES_PASSWORD": "y"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="found no systemd-analyze, needed it"
)
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_itself_accepts_the_unit(path, tmp_path):
    unit = tmp_path / path.name
    # The place that it will be installed to is not there yet.
    unit.write_text(path.read_text().replace("/opt/seqmodel/.venv/bin/python", shutil.which("env")))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    said = [line for line in done.stderr.splitlines() if path.name in line]
    assert not said
