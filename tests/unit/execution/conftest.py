"""A runs folder with everything around it faked."""

from pathlib import Path

import pytest

from tests.unit.execution.fakes import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)
