"""MOTA, MOTP, precision, recall and AP of linked detections by poseval's rules, with paired intervals (§6.1, A20–A25).

Detections on every frame of the validation videos are linked; only the frames that poseval counts are judged: labelled
ones with an annotated person, in temporal order, which outside the middle of a video is every n-th frame.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dimofs.config import Linkers, OperatingPoint, Paper
from dimofs.datasets.annotations import annotated_poses, counts
from dimofs.datasets.records import DatasetError, Frame, Video
from dimofs.metrics import (
    POSE_COLUMNS,
    POSEVAL,
    Floats,
    Integers,
    Neck,
    PoseRules,
    RankedBy,
    envelope_ap,
    exported_scores,
    pose_columns,
    predicted_poses,
    rank_joints,
    without_unannotated_joints,
)
from dimofs.mot import TrackedFrame, count_events, tracking_metrics
from dimofs.statistics import over_seeds, resample_weights, resampled_envelope_ap
from dimofs.tracking.link import exported_joints

#: What is judged, in the order of the tables' rows.
METRICS = ("ap", "mota", "motp", "precision", "recall")
#: The operating point behind Table 1: AP there is the pose mAP that a gain in MOTA is compared with (A23).
TABLE_1_POINT = "unfiltered"

_COLUMNS = ("video", "frame", "score", "joints", "joint_scores", "track", "linker", "operating_point")
_KEY = ["linker", "operating_point", "metric", "joint"]


@dataclass(frozen=True)
class _Result:
    """One metric of one method in the eight columns of Table 2, for each of S seeds, percent."""

    value: Floats  #: (S, 8)
    samples: Floats  #: (S, resamples, 8)


def evaluate_tracking(
    videos: Sequence[Video],
    single_frame: Sequence[pd.DataFrame],
    dimofs: Sequence[pd.DataFrame],
    points: Mapping[str, OperatingPoint],
    neck: Neck,
    ranked_by: RankedBy,
    paper: Paper,
    seed: int,
    rules: PoseRules = POSEVAL,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge the tracks of both methods by every linker at every operating point.

    videos: any splits, `val` is used. single_frame, dimofs: for each seed of the trainings tables of
    `dimofs.tracking.link.link`, one below the other, with the columns linker (a name of the configuration) and
    operating_point (a name in `points`) beside them. A way without rows is one by which nobody was found.

    Returns two tables in percent, a row for each metric of METRICS and column of Table 2: (method, linker,
    operating_point, metric, joint, value, ci_low, ci_high, n_frames, n_videos, seeds, sd), and the differences DiMoFs −
    single frame with paired intervals (minuend, subtrahend, linker, operating_point, metric, joint, difference, ci_low,
    ci_high, seeds, sd). Values are means over so many seeds with the standard deviation sd, see
    `dimofs.statistics.over_seeds`. `ap` is that of the detections that are tracked, at the operating point's thresholds
    (A23). The metric `mota_less_ap`, of differences alone, is that in MOTA less that in AP at TABLE_1_POINT: whether
    tracking gains as much as Table 1 does.

    Raises DatasetError when tracks do not belong to these videos, were linked in a way that is not known, or hold a
    track twice in a frame.
    """
    val = sorted((video for video in videos if video.split == "val"), key=lambda video: video.name)
    counted = [video for video in val if any(counts(frame) for frame in video.frames)]
    if not counted:
        raise DatasetError("validation videos: no frame has an annotated person, so there is nothing to judge")
    weights = resample_weights(len(counted), paper.resamples, seed)
    tables = {"single_frame": single_frame, "dimofs": dimofs}
    ways = [(linker, point) for linker in Linkers.model_fields for point in points]
    for method, of_seeds in tables.items():
        for table in of_seeds:
            _check(table, val, ways, method)

    n_frames = sum(counts(frame) for video in counted for frame in video.frames)
    values, gains = [], {}
    for linker, point in ways:
        results = {}
        for method, of_seeds in tables.items():
            frames = []
            for table in of_seeds:
                chosen = table[(table["linker"] == linker) & (table["operating_point"] == point)]
                frames.append(tracked_frames(counted, chosen, points[point].joint_score, neck, ranked_by, rules))
            results[method] = _judged(frames, weights, rules)
        for metric in METRICS:
            for method in tables:
                for *row, seeds, sd in _rows(results[method][metric], paper.confidence, seed):
                    values.append((method, linker, point, metric, *row, n_frames, len(counted), seeds, sd))
            gains[linker, point, metric] = _less(results["dimofs"][metric], results["single_frame"][metric])
    for linker, point in ways:
        mota, pose_ap = gains[linker, point, "mota"], gains[linker, TABLE_1_POINT, "ap"]
        gains[linker, point, "mota_less_ap"] = _less(mota, pose_ap)
    differences = [
        ("dimofs", "single_frame", *key, *row)
        for key, gain in gains.items()
        for row in _rows(gain, paper.confidence, seed)
    ]
    bounds, spread = ["ci_low", "ci_high"], ["seeds", "sd"]
    return (
        pd.DataFrame(values, columns=["method", *_KEY, "value", *bounds, "n_frames", "n_videos", *spread]),
        pd.DataFrame(differences, columns=["minuend", "subtrahend", *_KEY, "difference", *bounds, *spread]),
    )


def tracked_frames(
    videos: Sequence[Video],
    tracks: pd.DataFrame,
    joint_score: float | None,
    neck: Neck,
    ranked_by: RankedBy,
    rules: PoseRules = POSEVAL,
) -> list[list[TrackedFrame]]:
    """The counted frames of each video with what was tracked there, in temporal order.

    tracks: columns video, frame, score, joints (34), joint_scores (17) and track; joints with a logit below
    `joint_score` are left out as they are from an export. Raises DatasetError when a track occurs twice in a frame.
    """
    twice = tracks.duplicated(["video", "frame", "track"])
    if twice.any():
        row = tracks[twice].iloc[0]
        raise DatasetError(f"tracks: {row['video']}, frame {row['frame']}: track {row['track']} occurs twice")
    joints = np.array(tracks["joints"].to_list(), np.float64).reshape(-1, 17, 2)
    logits = np.array(tracks["joint_scores"].to_list(), np.float64).reshape(-1, 17)
    exported = exported_joints(joints, logits, joint_score, neck)
    score = exported_scores(tracks["score"], logits, ranked_by, neck)
    track = tracks["track"].to_numpy(np.int64)
    rows: dict[tuple[str, int], list[int]] = {}
    for index, key in enumerate(zip(tracks["video"].astype(str), tracks["frame"].astype(int), strict=True)):
        rows.setdefault(key, []).append(index)

    def tracked(video: str, position: int, frame: Frame) -> TrackedFrame:
        here = np.array(rows.get((video, position), []), np.int64)
        return _tracked_frame(video, position, frame, exported[here], score[here], track[here], rules)

    return [
        [tracked(video.name, position, frame) for position, frame in enumerate(video.frames) if counts(frame)]
        for video in videos
    ]


def _tracked_frame(
    video: str, position: int, frame: Frame, joints: Floats, score: Floats, track: Integers, rules: PoseRules
) -> TrackedFrame:
    truth = annotated_poses(video, position, frame, rules)
    regions = frame.ignore_regions if rules.ignore_regions else ()
    predicted = predicted_poses(joints, score, regions, "head_bottom")  # the neck is exported already
    predicted_track = track[predicted.source]
    if not rules.unannotated_joint_is_wrong:
        predicted = without_unannotated_joints(truth, predicted)
        predicted_track = track[predicted.source]
    true_track = np.array([person.track_id for person in frame.people], np.int64)[truth.source]
    # poseval removes people without joints of PoseTrack18 only where it looks for ignored ones
    anybody = len(truth.joints) > 0 or (rules.people_without_joints_stay and len(regions) == 0)
    return TrackedFrame(truth, true_track, predicted, predicted_track, anybody)


def _check(tracks: pd.DataFrame, videos: Sequence[Video], ways: Sequence[tuple[str, str]], method: str) -> None:
    missing = sorted({*_COLUMNS} - {*tracks.columns})
    if missing:
        raise DatasetError(f"{method} tracks: no column {', '.join(missing)}; link again")
    length = {video.name: len(video.frames) for video in videos}
    for video, position in tracks[["video", "frame"]].drop_duplicates().itertuples(index=False):
        if not 0 <= position < length.get(video, 0):
            raise DatasetError(
                f"{method} tracks: {video}, frame {position} is in no validation video; "
                "they are of another data set: predict and link again"
            )
    for linker, point in tracks[["linker", "operating_point"]].drop_duplicates().itertuples(index=False):
        if (linker, point) not in ways:
            raise DatasetError(f"{method} tracks: unknown linker or operating point: {linker}, {point}; link again")


def _judged(
    of_seeds: Sequence[Sequence[Sequence[TrackedFrame]]], weights: Floats, rules: PoseRules
) -> dict[str, _Result]:
    """Every metric of the frames of the videos of each seed."""
    judged = [_judged_once(frames, weights, rules) for frames in of_seeds]
    return {metric: _Result(*map(np.stack, zip(*(one[metric] for one in judged), strict=True))) for metric in METRICS}


def _judged_once(
    frames: Sequence[Sequence[TrackedFrame]], weights: Floats, rules: PoseRules
) -> dict[str, tuple[Floats, Floats]]:
    """Every metric of one seed: its value (8,) and its samples (resamples, 8)."""
    rankings = rank_joints(
        ((video, one.truth, one.predicted) for video, of_video in enumerate(frames) for one in of_video), len(frames)
    )
    ap = np.array([envelope_ap(ranking, rules) for ranking in rankings])
    samples = np.stack([resampled_envelope_ap(ranking, weights, rules) for ranking in rankings], axis=-1)
    results = {"ap": (pose_columns(ap, rules), pose_columns(samples, rules))}

    by_video = np.stack([count_events(of_video, rules) for of_video in frames])
    resampled = tracking_metrics(np.einsum("rv,vjc->rjc", weights, by_video))
    for metric, value in tracking_metrics(by_video.sum(axis=0)).items():
        results[metric] = (pose_columns(value, rules), pose_columns(resampled[metric], rules))
    return results


def _less(minuend: _Result, subtrahend: _Result) -> _Result:
    """The difference, seed by seed; samples of equal resamples, so that it is paired."""
    return _Result(minuend.value - subtrahend.value, minuend.samples - subtrahend.samples)


def _rows(result: _Result, confidence: float, seed: int) -> list[tuple[str, float, float, float, int, float]]:
    """(joint, value, low, high, seeds, sd) of each column."""
    found = over_seeds(result.value, result.samples, confidence, seed)
    return [
        (joint, value, low, high, len(result.value), sd)
        for joint, value, low, high, sd in zip(POSE_COLUMNS, *found, strict=True)
    ]
