import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def toys_on_the_path() -> None:
    """Puts `toy_trainables` where a user's own module is: on the driver's path, in no package."""
    sys.path.insert(0, str(Path(__file__).parent))
