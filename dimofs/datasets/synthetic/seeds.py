"""Named random streams."""

import zlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.SeedSequence:
    """The random stream of that name: independent of every other, and of how many there are."""
    key = (zlib.crc32(name.encode()) if isinstance(name, str) else name for name in names)
    return np.random.SeedSequence(seed, spawn_key=tuple(key))
