"""Sample detections: the same Frame A with the people found from itself and from a Frame B far away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dimofs.datasets.contact_sheet import draw_skeleton
from dimofs.datasets.records import LABELLED_SLOTS, POSETRACK_JOINTS, DatasetError, Video

_SIDE = 360  # pixels of a picture's longer side
_SCORE = 0.5  # people with a lower score are not drawn
_SHOWN = np.isin(np.arange(len(POSETRACK_JOINTS)), LABELLED_SLOTS)


@dataclass(frozen=True)
class Sample:
    """One Frame A, its Frame B, and what was found."""

    video: str
    frame_a: int
    frame_b: int
    from_a: bytes  #: JPEG of Frame A with the people found at δ = 0
    from_b: bytes  #: JPEG of Frame A with the people found from Frame B
    b: bytes  #: JPEG of Frame B


def sample_detections(videos: Sequence[Video], detections: pd.DataFrame, count: int) -> list[Sample]:
    """Draw the people found in Frame A at δ = 0 and at the largest δ, for `count` validation videos evenly spread.

    detections: of DiMoFs, with columns video, frame, delta, score and joints (34 numbers, as `dimofs pose predict`
    writes them). Frame A is the labelled frame nearest to the middle of the video whose Frame B is not clamped; videos
    without one are passed over. People with a score below 0.5 are not drawn.

    Raises DatasetError where a frame cannot be read.
    """
    if detections.empty:
        return []
    delta = int(detections["delta"].max())
    with_a = [(video, _frame_a(video, delta)) for video in videos if video.split == "val"]
    usable = [(video, a) for video, a in with_a if a is not None]
    chosen = np.unique(np.linspace(0, len(usable) - 1, min(count, len(usable))).round().astype(int))
    return [_sample(usable[i][0], usable[i][1], delta, detections) for i in chosen]


def _frame_a(video: Video, delta: int) -> int | None:
    candidates = [a for a, frame in enumerate(video.frames) if frame.people and 0 <= a + delta < len(video.frames)]
    return min(candidates, key=lambda a: abs(a - len(video.frames) // 2), default=None)


def _sample(video: Video, a: int, delta: int, detections: pd.DataFrame) -> Sample:
    def picture(position: int, found: pd.DataFrame | None) -> bytes:
        view, scale = _enlarged(video, position)
        for joints in [] if found is None else found["joints"]:
            points = np.asarray(joints, np.float32).reshape(-1, 2)
            draw_skeleton(view, points, _SHOWN, POSETRACK_JOINTS, scale, width=2)
        return bytes(cv2.imencode(".jpg", view, [cv2.IMWRITE_JPEG_QUALITY, 85])[1])

    here = detections[(detections["video"] == video.name) & (detections["frame"] == a)]
    here = here[here["score"] >= _SCORE]
    from_a, from_b = (picture(a, here[here["delta"] == gap]) for gap in (0, delta))
    return Sample(video.name, a, a + delta, from_a, from_b, picture(a + delta, None))


def _enlarged(video: Video, position: int) -> tuple[NDArray[Any], float]:
    path = video.frames[position].path
    frame = cv2.imread(str(path))
    if frame is None:
        raise DatasetError(f"{path}: is no picture that can be read; make the data set again")
    scale = _SIDE / max(frame.shape[:2])
    height, width = (round(side * scale) for side in frame.shape[:2])
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_CUBIC), scale
