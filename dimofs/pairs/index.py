"""The index of pairs: every labelled Frame A with the Frame B that lies δ frames away."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from dimofs.datasets.records import DatasetError, Video

#: Columns of the index and their kinds in numpy's letters ("O": string).
_COLUMNS = {"split": "O", "video": "O", "frame_a": "i", "frame_b": "i", "delta": "i", "clamped": "b"}


def pair_index(videos: Sequence[Video], deltas: Mapping[str, Sequence[int]]) -> pd.DataFrame:
    """List every labelled frame as Frame A with every δ configured for its split, `deltas[split]`.

    Columns: split and video (str); frame_a, frame_b and delta (int32; frames are 0-based positions in `Video.frames`);
    clamped (bool). Frame B is clip(A + δ, 0, n − 1) in a video of n frames, and `clamped` says where that changed it
    (A9: a gap is clamped at the borders of the clip). Frame B need not be labelled. Rows are sorted by split, video,
    frame_a, delta.

    Raises DatasetError where two videos share split and name, where a split with labelled frames has no δ, and where no
    frame is labelled at all.
    """
    ordered = sorted(videos, key=lambda video: (video.split, video.name))
    for before, after in pairwise(ordered):
        if (before.split, before.name) == (after.split, after.name):
            raise DatasetError(f"two videos of split {after.split} are called {after.name}; rename one of them")

    frame_a, delta, last = [], [], []
    for video in ordered:
        labelled = np.flatnonzero([frame.labelled for frame in video.frames])
        if len(labelled) and video.split not in deltas:
            raise DatasetError(f"video {video.name}: its split {video.split} has no configured δ; add a range for it")
        gaps = np.sort(np.asarray(deltas.get(video.split, ()), np.int64))
        frame_a.append(np.repeat(labelled, len(gaps)))
        delta.append(np.tile(gaps, len(labelled)))
        last.append(len(video.frames) - 1)
    counts = [len(rows) for rows in frame_a]
    if not sum(counts):
        raise DatasetError("no pair: no frame of the data set is labelled; check its label files")

    a, gap = np.concatenate(frame_a), np.concatenate(delta)
    b = np.clip(a + gap, 0, np.repeat(last, counts))
    return pd.DataFrame(
        {
            "split": np.repeat(np.array([video.split for video in ordered], object), counts),
            "video": np.repeat(np.array([video.name for video in ordered], object), counts),
            "frame_a": a.astype(np.int32),
            "frame_b": b.astype(np.int32),
            "delta": gap.astype(np.int32),
            "clamped": b != a + gap,
        }
    )


def read_pairs(path: Path) -> pd.DataFrame:
    """Read an index written as Parquet and check that it has the columns of `pair_index`, in their types.

    Raises DatasetError naming file and column.
    """
    try:
        pairs = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: is not a readable Parquet file ({error}); make it with `dimofs pairs`") from error
    for column, kind in _COLUMNS.items():
        if column not in pairs:
            raise DatasetError(f"{path}: the column {column} is missing; make the index again with `dimofs pairs`")
        values = pairs[column]
        if pd.api.types.is_string_dtype(values) if kind == "O" else values.dtype.kind == kind:
            continue
        raise DatasetError(
            f"{path}: the column {column} has the wrong type {values.dtype}; make the index again with `dimofs pairs`"
        )
    return pairs
