"""What every test may use: the real samples, and settings for hypothesis."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine must not fail a test: there is no deadline, and the examples are the same in every run.
settings.register_profile("dimofs", deadline=None, derandomize=True)
settings.load_profile("dimofs")


@pytest.fixture(scope="session")
def samples() -> Path:
    """Folder of real samples in the official formats, named by the environment variable DIMOFS_SAMPLES."""
    name = os.environ.get("DIMOFS_SAMPLES")
    if not name:
        pytest.skip("needs real samples of the data sets: set DIMOFS_SAMPLES to their folder")
    return Path(name)
