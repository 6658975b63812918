"""Pose mAP of the single-frame baseline, the copy baseline and DiMoFs over δ, with paired intervals (§6.1, A20–A25).

Every method is scored against the annotations of Frame A: the single-frame detector on Frame A itself, the copy
baseline with the single-frame detector's output on Frame B, unchanged (A22), DiMoFs with what it predicts from B.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

from dimofs.config import Paper
from dimofs.datasets.annotations import annotated_poses, counts
from dimofs.datasets.records import Array, DatasetError, Frame, Video
from dimofs.metrics import (
    POSE_COLUMNS,
    Floats,
    Neck,
    PredictedPoses,
    RankedBy,
    TruePoses,
    envelope_ap,
    exported_scores,
    mean_of_defined,
    pose_columns,
    predicted_poses,
    rank_joints,
)
from dimofs.statistics import over_seeds, resample_weights, resampled_envelope_ap

#: A frame: its video and its position there.
FrameKey = tuple[str, int]
#: Where people were detected: video, position of the frame (of Frame A for a pair), δ.
Key = tuple[str, int, int]
#: The people of one frame or pair: joints (P, 17, 2) and scores (P, 17).
Detections = tuple[Floats, Floats]

_NOBODY: Detections = (np.zeros((0, 17, 2)), np.zeros((0, 17)))


@dataclass(frozen=True)
class _Target:
    """What is scored against: the annotations of one Frame A."""

    video: int  #: index among the evaluated videos
    poses: TruePoses
    ignore_regions: tuple[Array, ...]


@dataclass(frozen=True)
class _Result:
    """Average precision of one method at one δ in the eight columns of Table 1, for each of S seeds, percent."""

    ap: Floats  #: (S, 8)
    samples: Floats  #: (S, resamples, 8)
    frames: int
    videos: int
    clamped: float  #: share of the frames whose Frame B is not δ away


def evaluate_pose(
    videos: Sequence[Video],
    pairs: pd.DataFrame,
    single_frame: Sequence[pd.DataFrame],
    dimofs: Sequence[pd.DataFrame],
    neck: Neck,
    ranked_by: RankedBy,
    paper: Paper,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score every method at every δ of the validation pairs.

    videos: any splits, `val` is used. pairs: columns split, video, frame_a, frame_b, delta. single_frame: detections on
    the validation frames (delta 0); dimofs: detections of the validation pairs (frame = Frame A); both a table for each
    seed of the trainings, with columns video, frame, delta, score, joints (34 numbers: the 17 PoseTrack18 slots, x y,
    pixels) and joint_scores (17 logits).

    Only labelled frames with an annotated person count. Returns two tables in percent, one row for each column of
    Table 1: (method, delta, joint, ap, ci_low, ci_high, n_frames, n_videos, clamped_fraction, seeds, sd), where that
    fraction of the frames has A + δ outside the video and so another Frame B, its first or last; and paired differences
    (minuend, minuend_delta, subtrahend, subtrahend_delta, joint, difference, ci_low, ci_high, seeds, sd): of everything
    to the single-frame baseline, then of DiMoFs to DiMoFs at δ = 0, and of DiMoFs to the copy baseline at the same δ.
    Values are means over so many seeds with the standard deviation sd, see `dimofs.statistics.over_seeds`.

    Raises DatasetError when pairs or detections do not belong to these videos, or a person has no head box.
    """
    frames = _val_frames(videos)
    gaps = _pairs_by_delta(pairs, frames)
    on_frame = [_by_key(table, "single-frame", ranked_by, neck) for table in single_frame]
    on_pair = [_by_key(table, "DiMoFs", ranked_by, neck) for table in dimofs]
    _require_known(on_frame, {(*key, 0) for key in frames}, "single-frame")
    _require_known(on_pair, {(video, a, delta) for delta in gaps for video, a, _ in gaps[delta]}, "DiMoFs")

    targets = _targets({(video, a): frames[video, a] for rows in gaps.values() for video, a, _ in rows})
    n_videos = 1 + max(target.video for target in targets.values())
    weights = resample_weights(n_videos, paper.resamples, seed)

    def score(
        detections: Sequence[Mapping[Key, Detections]], keys: Sequence[tuple[FrameKey, Key]], clamped: float = 0.0
    ) -> _Result:
        ap, samples = [], []
        for of_seed in detections:
            rankings = rank_joints(_judged(targets, of_seed, keys, neck), n_videos)
            resampled = np.stack([resampled_envelope_ap(ranking, weights) for ranking in rankings], axis=-1)
            ap.append(pose_columns(np.array([envelope_ap(ranking) for ranking in rankings])))
            samples.append(pose_columns(resampled))
        judged = [targets[frame_a].video for frame_a, _ in keys if frame_a in targets]
        return _Result(np.stack(ap), np.stack(samples), len(judged), len(set(judged)), clamped)

    results = {("single_frame", 0): score(on_frame, [(frame_a, (*frame_a, 0)) for frame_a in targets])}
    for delta, rows in tqdm(gaps.items(), desc="pose AP", unit="δ", disable=None):
        clamped = float(np.mean([b - a != delta for video, a, b in rows if (video, a) in targets]))
        results["copy", delta] = score(on_frame, [((video, a), (video, b, 0)) for video, a, b in rows], clamped)
        results["dimofs", delta] = score(on_pair, [((video, a), (video, a, delta)) for video, a, _ in rows], clamped)
    return _average_precision(results, paper.confidence, seed), _differences(results, paper.confidence, seed)


def mean_ap(videos: Sequence[Video], pairs: pd.DataFrame, detections: pd.DataFrame) -> float:
    """Mean AP over the 15 joints, percent, of `detections` on the Frames A of validation pairs at δ = 0.

    Arguments as in `evaluate_pose`; the neck is the shoulders' middle (A21), joints have their own scores, and there is
    no interval.
    """
    frames = _val_frames(videos)
    found = _by_key(detections, "validation", "joint", "shoulders")
    targets = _targets({(video, a): frames[video, a] for video, a, _ in _pairs_by_delta(pairs, frames)[0]})
    judged = _judged(targets, found, ((frame, (*frame, 0)) for frame in targets), "shoulders")
    rankings = rank_joints(judged, 1 + max(target.video for target in targets.values()))
    return float(mean_of_defined(np.array([envelope_ap(ranking) for ranking in rankings])))


def _judged(
    targets: Mapping[FrameKey, _Target],
    detections: Mapping[Key, Detections],
    keys: Iterable[tuple[FrameKey, Key]],
    neck: Neck,
) -> list[tuple[int, TruePoses, PredictedPoses]]:
    """Put the detections under a key beside the annotations of a frame, for those frames that count."""
    return [
        (target.video, target.poses, predicted_poses(*detections.get(key, _NOBODY), target.ignore_regions, neck))
        for target, key in ((targets[frame_a], key) for frame_a, key in keys if frame_a in targets)
    ]


def _val_frames(videos: Sequence[Video]) -> dict[FrameKey, Frame]:
    return {(v.name, i): frame for v in videos if v.split == "val" for i, frame in enumerate(v.frames)}


def _pairs_by_delta(pairs: pd.DataFrame, frames: Mapping[FrameKey, Frame]) -> dict[int, list[tuple[str, int, int]]]:
    """List the validation pairs (video, A, B) of each δ, sorted: equal scores, as of two copies, keep that order."""
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


def _by_key(detections: pd.DataFrame, name: str, ranked_by: RankedBy, neck: Neck) -> dict[Key, Detections]:
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


def _require_known(detections: Sequence[Mapping[Key, Detections]], known: set[Key], name: str) -> None:
    unknown = {key for of_seed in detections for key in of_seed} - known
    if unknown:
        video, frame, delta = min(unknown)
        raise DatasetError(
            f"{name} detections: {video}, frame {frame}, δ = {delta} is not among the validation pairs; "
            "they are of another data set or configuration: predict again"
        )


def _targets(frames: Mapping[FrameKey, Frame]) -> dict[FrameKey, _Target]:
    """Prepare the frames that count, those with an annotated person; the others would only add false positives."""
    counted = {key: frame for key, frame in sorted(frames.items()) if counts(frame)}
    if not counted:
        raise DatasetError("validation pairs: no Frame A has an annotated person, so there is nothing to score")
    names = sorted({video for video, _ in counted})
    return {
        (video, position): _Target(names.index(video), annotated_poses(video, position, frame), frame.ignore_regions)
        for (video, position), frame in counted.items()
    }


def _average_precision(results: Mapping[tuple[str, int], _Result], confidence: float, seed: int) -> pd.DataFrame:
    rows = []
    for (method, delta), result in results.items():
        found = over_seeds(result.ap, result.samples, confidence, seed)
        for joint, *ap, sd in zip(POSE_COLUMNS, *found, strict=True):
            counted = (result.frames, result.videos, result.clamped, len(result.ap))
            rows.append((method, delta, joint, *ap, *counted, sd))
    names = ["method", "delta", "joint", "ap", "ci_low", "ci_high", "n_frames", "n_videos", "clamped_fraction"]
    return pd.DataFrame(rows, columns=[*names, "seeds", "sd"])


def _differences(results: Mapping[tuple[str, int], _Result], confidence: float, seed: int) -> pd.DataFrame:
    names = ["minuend", "minuend_delta", "subtrahend", "subtrahend_delta", "joint", "difference", "ci_low", "ci_high"]
    rows = []
    for minuend, subtrahend in _compared(list(results)):
        first, second = results[minuend], results[subtrahend]
        found = over_seeds(first.ap - second.ap, first.samples - second.samples, confidence, seed)
        for joint, *difference, sd in zip(POSE_COLUMNS, *found, strict=True):
            rows.append((*minuend, *subtrahend, joint, *difference, len(first.ap), sd))
    return pd.DataFrame(rows, columns=[*names, "seeds", "sd"])


def _compared(results: Sequence[tuple[str, int]]) -> list[tuple[tuple[str, int], tuple[str, int]]]:
    """List what §6.1 compares: all with the single-frame baseline, DiMoFs with itself at δ = 0 and with copying."""
    baseline = ("single_frame", 0)
    dimofs = [(method, delta) for method, delta in results if method == "dimofs"]
    pairs = [(result, baseline) for result in results if result != baseline]
    pairs += [(result, ("dimofs", 0)) for result in dimofs if ("dimofs", 0) in dimofs and result[1]]
    return pairs + [(result, ("copy", result[1])) for result in dimofs]
