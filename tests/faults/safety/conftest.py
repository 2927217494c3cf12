"""One Prefect test server for all tests of safety that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prefect.testing.utilities import prefect_test_harness


@pytest.fixture(scope="session")
def harness() -> Iterator[None]:
    """A temporary server; its first start migrates a database."""
    with prefect_test_harness(server_startup_timeout=120):
        yield
