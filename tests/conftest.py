"""What every test may use: the real samples, a way to write small videos, and settings for hypothesis."""

import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
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


@pytest.fixture(scope="session")
def encode() -> Callable[..., Path]:
    """A function that writes RGB frames (H, W, 3) as a video, frame i shown at ticks[i] / rate s.

    Other named arguments are options of the codec.
    """

    def write(
        path: Path,
        frames: Sequence[np.ndarray],
        codec: str = "libx264",
        pixels: str = "yuv420p",
        rate: int = 25,
        ticks: Sequence[int] | None = None,
        **options: str,
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=rate, options=options)
            stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], pixels
            stream.codec_context.thread_count = 1
            for frame, tick in zip(frames, ticks or range(len(frames)), strict=True):
                picture = av.VideoFrame.from_ndarray(frame, "rgb24")
                picture.pts, picture.time_base = tick, Fraction(1, rate)
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture
def in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute in float32 even where the processor multiplies bfloat16, for comparisons to rounding."""
    monkeypatch.setattr("dimofs.training.loop.computes_bfloat16", lambda target: False)
