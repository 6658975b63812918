"""Action detections as the files that ACT-detector's frameAP reads, and the ground truth that it compares them with.

    <out>/<class>/<clip>/<5-digit frame>.pkl    a pair of arrays for each frame of each test clip, counted from 1:
                                                (N, 6) label, score, x1, y1, x2, y2, and one that frameAP ignores
    <out>/JHMDB-GT.pkl                          see `dimofs.datasets.act`

ACT's files hold tubelets of K frames; these hold single frames, so its constant K must be 1. Boxes are in inclusive
pixels there, so that a box with the edges 3 and 8 ends with pixel 7. The pickles are those of Python 2, ACT's language.
"""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from dimofs.datasets.records import JHMDB_CLASSES, DatasetError, Video
from dimofs.io import replacing
from dimofs.metrics import Floats

_EDGES_TO_PIXELS = np.array([0, 0, 1, 1])
_COLUMNS = ("video", "frame", "label", "score", "box")


def write_detections(clips: Sequence[Video], detections: pd.DataFrame, folder: Path) -> None:
    """Write the detections of every frame of the test clips, also of frames without any.

    detections: columns video, frame (0-based), label, score and box (4 numbers, x1 y1 x2 y2 with continuous edges), of
    one training at one δ; per-class suppression at IoU 0.3, which frameAP repeats, has been done by the network.

    Raises DatasetError where a column is missing or detections are of another clip or frame.
    """
    missing = {*_COLUMNS} - {*detections.columns}
    if missing:
        raise DatasetError(f"detections: no column {', '.join(sorted(missing))}; predict again")
    boxes = np.array(detections["box"].to_list(), np.float64).reshape(-1, 4) - _EDGES_TO_PIXELS
    rows = np.column_stack([detections["label"], detections["score"], boxes]).astype(np.float32)
    found: dict[tuple[str, int], list[int]] = {}
    for row, key in enumerate(zip(detections["video"].astype(str), detections["frame"].astype(int), strict=True)):
        found.setdefault(key, []).append(row)
    frames = [(clip.name, frame) for clip in clips if clip.split == "test" for frame in range(len(clip.frames))]
    unknown = found.keys() - {*frames}
    if unknown:
        video, frame = min(unknown)
        raise DatasetError(f"detections: {video}, frame {frame} is in no test clip; predict again")
    everything = np.zeros((0, 4 + 1 + len(JHMDB_CLASSES)), np.float32)  # for building tubes, which is not done here
    for name, frame in frames:
        _write(folder / name / f"{frame + 1:05d}.pkl", (rows[found.get((name, frame), [])], everything))


def write_ground_truth(clips: Sequence[Video], path: Path) -> None:
    """Write the clips of one official split as ACT's ground truth, where they stand as its split 1.

    Raises DatasetError where a first frame cannot be read, which tells the size of a clip.
    """
    names = {part: [clip.name for clip in clips if clip.split == part] for part in ("train", "test")}
    _write(
        path,
        {
            "labels": list(JHMDB_CLASSES),
            "train_videos": [names["train"]],
            "test_videos": [names["test"]],
            "nframes": {clip.name: len(clip.frames) for clip in clips},
            "resolution": {clip.name: _size(clip.frames[0].path) for clip in clips},
            "gttubes": {clip.name: {clip.label: [_tube(clip)]} for clip in clips},
        },
    )


def _tube(clip: Video) -> Floats:
    """Frame, counted from 1, and box of each labelled frame, (n, 5)."""
    labelled = [(number, frame) for number, frame in enumerate(clip.frames, start=1) if frame.people]
    boxes = np.array([frame.people[0].box for _, frame in labelled], np.float64).reshape(-1, 4)  # one actor a clip
    return np.column_stack([[number for number, _ in labelled], boxes - _EDGES_TO_PIXELS])


def _size(path: Path) -> tuple[int, int]:
    image = cv2.imread(str(path))
    if image is None:
        raise DatasetError(f"{path}: is no picture that can be read; make the data set again")
    return image.shape[0], image.shape[1]


def _write(path: Path, content: Any) -> None:
    pickled = pickle.dumps(content, protocol=2)
    with replacing(path) as temporary:
        # Arrays are rebuilt by a function that numpy 2 has moved; its first mention is the only one.
        temporary.write_bytes(pickled.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n", 1))
