"""Which detections are judged against which annotations, and the mean AP along a training curve (§6.1, A20–A25).

Apart from `dimofs.pose.evaluate`, because trainings need this much: they are not to hang on how intervals are drawn.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dimofs.datasets.annotations import annotated_poses, counts
from dimofs.datasets.records import Array, DatasetError, Frame, Video
from dimofs.metrics import (
    Floats,
    Neck,
    PredictedPoses,
    RankedBy,
    TruePoses,
    envelope_ap,
    exported_scores,
    mean_of_defined,
    predicted_poses,
    rank_joints,
)

#: A frame: its video and its position there.
FrameKey = tuple[str, int]
#: Where people were detected: video, position of the frame (of Frame A for a pair), δ.
Key = tuple[str, int, int]
#: The people of one frame or pair: joints (P, 17, 2) and scores (P, 17).
Detections = tuple[Floats, Floats]

_NOBODY: Detections = (np.zeros((0, 17, 2)), np.zeros((0, 17)))


@dataclass(frozen=True)
class JudgedFrame:
    """The annotations of one Frame A that counts."""

    video: int  #: index among the evaluated videos
    poses: TruePoses
    ignore_regions: tuple[Array, ...]


def mean_ap(videos: Sequence[Video], pairs: pd.DataFrame, detections: pd.DataFrame) -> float:
    """Mean AP over the 15 joints, percent, of `detections` on the Frames A of validation pairs at δ = 0.

    Arguments as in `dimofs.pose.evaluate.evaluate_pose`; the neck is the shoulders' middle (A21), joints have their own
    scores, and there is no interval.
    """
    frames = val_frames(videos)
    found = detections_by_key(detections, "validation", "joint", "shoulders")
    targets = judged_frames({(video, a): frames[video, a] for video, a, _ in pairs_by_delta(pairs, frames)[0]})
    judged = judged_poses(targets, found, ((frame, (*frame, 0)) for frame in targets), "shoulders")
    rankings = rank_joints(judged, 1 + max(target.video for target in targets.values()))
    return float(mean_of_defined(np.array([envelope_ap(ranking) for ranking in rankings])))


def judged_poses(
    targets: Mapping[FrameKey, JudgedFrame],
    detections: Mapping[Key, Detections],
    keys: Iterable[tuple[FrameKey, Key]],
    neck: Neck,
) -> list[tuple[int, TruePoses, PredictedPoses]]:
    """Put the detections under a key beside the annotations of a frame, for those frames that count."""
    return [
        (target.video, target.poses, predicted_poses(*detections.get(key, _NOBODY), target.ignore_regions, neck))
        for target, key in ((targets[frame_a], key) for frame_a, key in keys if frame_a in targets)
    ]


def val_frames(videos: Sequence[Video]) -> dict[FrameKey, Frame]:
    """Look up the frames of the validation videos."""
    return {(v.name, i): frame for v in videos if v.split == "val" for i, frame in enumerate(v.frames)}


def pairs_by_delta(pairs: pd.DataFrame, frames: Mapping[FrameKey, Frame]) -> dict[int, list[tuple[str, int, int]]]:
    """List the validation pairs (video, A, B) of each δ, sorted: equal scores, as of two copies, keep that order.

    Raises DatasetError when a pair is of other frames.
    """
    val = pairs[pairs["split"] == "val"]
    unknown = {(video, i) for end in ("frame_a", "frame_b") for video, i in zip(val["video"], val[end], strict=True)}
    unknown -= frames.keys()
    if unknown:
        video, frame = min(unknown)
        raise DatasetError(f"pairs: {video}, frame {frame} is in no validation video; make the pairs again")
    return {
        int(str(delta)): sorted(
            zip(rows["video"], rows["frame_a"].astype(int), rows["frame_b"].astype(int), strict=True)
        )
        for delta, rows in val.groupby("delta", sort=True)
    }


def detections_by_key(detections: pd.DataFrame, name: str, ranked_by: RankedBy, neck: Neck) -> dict[Key, Detections]:
    """Look up the people of a table of detections (columns as `evaluate_pose` takes them), scored as exported.

    Raises DatasetError, which calls them `name`, when a column is missing.
    """
    missing = {"video", "frame", "delta", "score", "joints", "joint_scores"} - set(detections.columns)
    if missing:
        raise DatasetError(f"{name} detections: no column {', '.join(sorted(missing))}; predict again")
    rows: dict[Key, list[int]] = {}
    keys = zip(detections["video"], detections["frame"], detections["delta"], strict=True)
    for row, (video, frame, delta) in enumerate(keys):
        rows.setdefault((str(video), int(frame), int(delta)), []).append(row)
    joints = np.array(detections["joints"].to_list(), np.float64).reshape(-1, 17, 2)
    score = exported_scores(detections["score"], detections["joint_scores"].to_list(), ranked_by, neck)
    return {key: (joints[i], score[i]) for key, i in rows.items()}


def judged_frames(frames: Mapping[FrameKey, Frame]) -> dict[FrameKey, JudgedFrame]:
    """Prepare the frames that count, those with an annotated person; the others would only add false positives.

    Raises DatasetError when there is none, or a person has no head box.
    """
    counted = {key: frame for key, frame in sorted(frames.items()) if counts(frame)}
    if not counted:
        raise DatasetError("validation pairs: no Frame A has an annotated person, so there is nothing to score")
    names = sorted({video for video, _ in counted})
    return {
        (video, position): JudgedFrame(
            names.index(video), annotated_poses(video, position, frame), frame.ignore_regions
        )
        for (video, position), frame in counted.items()
    }
