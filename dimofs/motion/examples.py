"""Examples for Figure 3 as data: what the offsets and the flow show of a pair, in a file that needs no network."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dimofs.datasets.records import Array, DatasetError
from dimofs.io import replacing


@dataclass(frozen=True)
class Example:
    """One pair of frames (A, B); displacements are (dx, dy) from A to B in pixels of the file."""

    video: str
    position_a: int  #: where Frame A is in its video, 0-based
    position_b: int
    frame_a: NDArray[np.uint8]  #: (H, W, 3) RGB
    frame_b: NDArray[np.uint8]  #: (H, W, 3) RGB
    channel: tuple[int, int]  #: the two channels of the finest scale that are shown
    channels: Array  #: (2, H, W, 2) their displacements
    saliency: Array  #: (H, W) magnitude of the summed channels
    farneback: Array  #: (H, W, 2) Farneback's flow
    predicted: Array | None  #: (H, W, 2) human motion, by the read-out; None where there is no read-out
    exact: Array | None  #: (H, W, 2) exact motion of people, zero elsewhere; None where nobody knows it


def write_examples(examples: Sequence[Example], path: Path) -> None:
    """Write examples as `.npz`; equal examples give equal bytes."""
    arrays = {
        f"{row}/{field.name}": getattr(example, field.name)
        for row, example in enumerate(examples)
        for field in fields(Example)
        if getattr(example, field.name) is not None
    }
    with replacing(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def read_examples(path: Path) -> list[Example]:
    """Read examples. Raises DatasetError where the file is missing or is none."""
    try:
        with np.load(path) as arrays:
            return [_example(arrays, row) for row in range(1 + max(int(name.split("/")[0]) for name in arrays))]
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path}: holds no examples for Figure 3 ({error}); make it again") from error


def spread(scores: Sequence[float], count: int) -> list[int]:
    """Choose `count` places of a ranking by falling score, evenly spread: each in the middle of its share of it."""
    ranking = sorted(range(len(scores)), key=lambda index: -scores[index])
    count = min(count, len(ranking))
    return [ranking[int((place + 0.5) * len(ranking) / count)] for place in range(count)]


def _example(arrays: np.lib.npyio.NpzFile, row: int) -> Example:
    first, second = arrays[f"{row}/channel"].tolist()
    pictures = ("frame_a", "frame_b", "channels", "saliency", "farneback")
    return Example(
        video=str(arrays[f"{row}/video"]),
        position_a=int(arrays[f"{row}/position_a"]),
        position_b=int(arrays[f"{row}/position_b"]),
        channel=(first, second),
        predicted=arrays.get(f"{row}/predicted"),
        exact=arrays.get(f"{row}/exact"),
        **{name: arrays[f"{row}/{name}"] for name in pictures},
    )
