"""An unbroken night to compare with, and a fresh ground for one that is disturbed."""

from __future__ import annotations

import pytest

# What is asserted there says what it found, as in a module of tests.
pytest.register_assert_rewrite("tests.faults.environment.outcomes", "tests.faults.night")

from tests.faults.kills import run_unbroken
from tests.faults.night import Ground, write_source


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("environment")
    return run_unbroken(folder, write_source(folder / "source"))


@pytest.fixture
def ground(unbroken, tmp_path):
    return Ground(tmp_path / "ground", unbroken.ground.source, unbroken.ground.home)
