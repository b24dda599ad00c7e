"""Where tests find reference values and recorded market data; both are optional and are never copied here."""

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


def _folder(variable: str, default: Path) -> Path:
    folder = Path(os.environ.get(variable, default))
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; name the folder in {variable}")
    return folder


@pytest.fixture(scope="session")
def reference() -> Path:
    """Numbers computed by others; see its README for tolerances."""
    return _folder("HEDGEHOUSE_REFERENCE", SHARED / "reference")


@pytest.fixture(scope="session")
def recorded() -> Path:
    """Market data recorded from real venues by others."""
    return _folder("HEDGEHOUSE_RECORDED", SHARED / "recorded")
