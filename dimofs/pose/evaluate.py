"""Pose mAP of the single-frame baseline, the copy baseline and DiMoFs over δ, with paired intervals (§6.1, A20–A25).

Every method is scored against the annotations of Frame A: the single-frame detector on Frame A itself, the copy
baseline with the single-frame detector's output on Frame B, unchanged (A22), DiMoFs with what it predicts from B.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

from dimofs.config import Paper
from dimofs.datasets.records import DatasetError, Video
from dimofs.metrics import POSE_COLUMNS, Floats, Neck, RankedBy, envelope_ap, pose_columns, rank_joints
from dimofs.pose.judge import (
    Detections,
    FrameKey,
    Key,
    detections_by_key,
    judged_frames,
    judged_poses,
    pairs_by_delta,
    val_frames,
)
from dimofs.statistics import over_seeds, resample_weights, resampled_envelope_ap


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
    frames = val_frames(videos)
    gaps = pairs_by_delta(pairs, frames)
    on_frame = [detections_by_key(table, "single-frame", ranked_by, neck) for table in single_frame]
    on_pair = [detections_by_key(table, "DiMoFs", ranked_by, neck) for table in dimofs]
    _require_known(on_frame, {(*key, 0) for key in frames}, "single-frame")
    _require_known(on_pair, {(video, a, delta) for delta in gaps for video, a, _ in gaps[delta]}, "DiMoFs")

    targets = judged_frames({(video, a): frames[video, a] for rows in gaps.values() for video, a, _ in rows})
    n_videos = 1 + max(target.video for target in targets.values())
    weights = resample_weights(n_videos, paper.resamples, seed)

    def score(
        detections: Sequence[Mapping[Key, Detections]], keys: Sequence[tuple[FrameKey, Key]], clamped: float = 0.0
    ) -> _Result:
        ap, samples = [], []
        for of_seed in detections:
            rankings = rank_joints(judged_poses(targets, of_seed, keys, neck), n_videos)
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


def _require_known(detections: Sequence[Mapping[Key, Detections]], known: set[Key], name: str) -> None:
    unknown = {key for of_seed in detections for key in of_seed} - known
    if unknown:
        video, frame, delta = min(unknown)
        raise DatasetError(
            f"{name} detections: {video}, frame {frame}, δ = {delta} is not among the validation pairs; "
            "they are of another data set or configuration: predict again"
        )


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
