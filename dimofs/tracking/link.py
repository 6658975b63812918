"""Linking the detections of consecutive frames into tracks (§5, A24): the second stage of Detect-and-Track's system.

Each frame's detections are assigned, one to one and at the least total cost, to the tracks seen in the frames before.
In Detect-and-Track's linker the cost is 1 − IoU of the boxes, a track is forgotten after one frame without it, and
every assigned pair links, whatever it costs. The better practice of the field is 1 − OKS of the poses, a track that is
remembered for several frames, and no link between poses that have next to nothing in common: at OKS 0.1 joints lie
about a quarter of the person's height apart. Both stand in the configuration.
Positions are not extrapolated, and frames without any detection count as time.
"""

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from dimofs.config import Linker, OperatingPoint
from dimofs.datasets.records import DatasetError
from dimofs.metrics import Floats, Integers, Neck, box_iou

#: What the linkers read of a table of predictions (`dimofs.pose.predict`).
COLUMNS = ("video", "frame", "delta", "score", "box", "joints")

#: Spread of each of the 17 PoseTrack18 slots in OKS: COCO's constants, the shoulders' for the two ends of the head.
_SPREAD = 2 * np.array(
    [0.026, 0.079, 0.079, *np.repeat([0.035, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089], 2)]
)  # fmt: skip
_EARS = (3, 4)  # never labelled, so their predictions mean nothing (A20)
_FORBIDDEN = 1e6  # more than any sum of costs, which are at most 1 each


def link(detections: pd.DataFrame, linker: Linker, point: OperatingPoint) -> pd.DataFrame:
    """Give the detections at or above the thresholds on score and area a `track`, int32, unique in each frame.

    detections: a table of predictions, of which the rows with δ = 0 are used; `frame` is the position in the video, so
    that a frame without rows is a frame without people. Tracks count from 0 in each video, in the order of their first
    detections. Returns the rows that are kept, with all their columns, sorted by video and frame. Low joints are not
    removed here: see `exported_joints`.

    Raises DatasetError when a column is missing.
    """
    missing = sorted({*COLUMNS} - {*detections.columns})
    if missing:
        raise DatasetError(f"detections: no column {', '.join(missing)}; predict again")
    box = np.array(detections["box"].to_list(), np.float64).reshape(-1, 4)
    area = np.prod(box[:, 2:] - box[:, :2], axis=1)
    kept = (detections["delta"] == 0) & (detections["score"] >= point.score) & (area >= point.area)
    rows = detections[kept].sort_values(["video", "frame"], kind="stable", ignore_index=True)
    boxes = np.array(rows["box"].to_list(), np.float64).reshape(-1, 4)
    poses = np.array(rows["joints"].to_list(), np.float64).reshape(-1, 17, 2)
    track = np.zeros(len(rows), np.int32)
    for _, video in rows.groupby("video", sort=False):
        tracker = Tracker(linker)
        for frame, people in video.groupby("frame"):
            at = people.index.to_numpy()
            track[at] = tracker.assign(int(frame), boxes[at], poses[at])
    return rows.assign(track=track)


class Tracker:
    """The tracks of one video, frame after frame: it remembers the latest detection of each track for a while."""

    def __init__(self, linker: Linker) -> None:
        self._linker = linker
        self._last: dict[int, tuple[int, Floats, Floats]] = {}  # of each track: frame, box, pose
        self.started = 0  #: how many tracks there are so far

    def assign(self, frame: int, boxes: Floats, poses: Floats) -> Integers:
        """The track of each detection of a frame, (D,), from 0 in the order in which tracks start.

        frame: larger than those before; boxes: (D, 4) x1 y1 x2 y2; poses: (D, 17, 2); float64, pixels.
        """
        remembered = sorted(track for track, (seen, _, _) in self._last.items() if frame - seen <= self._linker.memory)
        self._last = {track: self._last[track] for track in remembered}
        last_boxes = np.array([box for _, box, _ in self._last.values()]).reshape(-1, 4)
        last_poses = np.array([pose for _, _, pose in self._last.values()]).reshape(-1, 17, 2)
        pairs = _assign(_cost(self._linker, last_boxes, last_poses, boxes, poses), self._linker.max_cost)
        tracks = np.full(len(boxes), -1)
        for row, column in pairs:
            tracks[column] = remembered[row]
        new = np.flatnonzero(tracks < 0)
        tracks[new] = self.started + np.arange(len(new))
        self.remember(frame, tracks, boxes, poses)
        return tracks

    def remember(self, frame: int, tracks: Integers, boxes: Floats, poses: Floats) -> None:
        """Take over a frame that was linked before, so that the next one goes on from it."""
        for track, box, pose in zip(tracks.tolist(), boxes, poses, strict=True):
            self._last[track] = (frame, box, pose)
            self.started = max(self.started, track + 1)


def exported_joints(joints: Floats, joint_scores: Floats, joint_score: float | None, neck: Neck) -> Floats:
    """The joints (P, 17, 2) as they are exported, NaN where they are not: those with a logit below `joint_score`.

    With neck = "shoulders" the slot head_bottom becomes the midpoint of the two shoulders, and the mean of their logits
    decides whether it is exported (A21), also where a shoulder alone is not.
    """
    points, logits = np.array(joints, np.float64), np.array(joint_scores, np.float64)
    if neck == "shoulders":
        points[:, 1], logits[:, 1] = points[:, 5:7].mean(axis=1), logits[:, 5:7].mean(axis=1)
    if joint_score is not None:
        points[logits < joint_score] = np.nan
    return points


def oks(poses: Floats, others: Floats, areas: Floats) -> Floats:
    """Object keypoint similarity of poses (P, 17, 2) with others (G, 17, 2), (P, G), 1 where they are equal.

    The mean over the joints without the ears of exp(−d² / (2 · area · spread²)), d pixels, areas (P, G) pixels².
    """
    squared = ((poses[:, None] - others[None]) ** 2).sum(axis=-1)
    similar = np.exp(-squared / np.maximum(2 * areas[..., None] * _SPREAD**2, np.finfo(np.float64).tiny))
    return np.delete(similar, _EARS, axis=-1).mean(axis=-1)


def _cost(linker: Linker, boxes: Floats, poses: Floats, other_boxes: Floats, other_poses: Floats) -> Floats:
    """The cost of linking detections, (T, 4) and (T, 17, 2), to others, (D, 4) and (D, 17, 2): (T, D)."""
    if linker.cost == "iou":
        return 1 - box_iou(boxes, other_boxes)
    area, other_area = (np.prod(both[:, 2:] - both[:, :2], axis=1) for both in (boxes, other_boxes))
    return 1 - oks(poses, other_poses, (area[:, None] + other_area) / 2)


def _assign(cost: Floats, max_cost: float | None) -> list[tuple[int, int]]:
    """Least-cost pairs (track, detection); those that cost more than `max_cost` are never made."""
    allowed = np.ones(cost.shape, bool) if max_cost is None else cost <= max_cost
    rows, columns = linear_sum_assignment(np.where(allowed, cost, _FORBIDDEN))
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if allowed[row, column]]
