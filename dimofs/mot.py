"""Tracking as poseval counts it: motmetrics matches the joints over time, this module feeds it and sums its events.

Every joint is tracked by itself, as if it were an object: its annotated and its predicted tracks of a video are matched
frame by frame within PCKH_THRESHOLD head sizes (people play no part), a match goes on as long as it can, and what is
left is assigned at the least total distance. MOTA, MOTP, precision and recall are ratios of sums over videos, so a
video is known by its counts, and counts of several videos add.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import motmetrics
import numpy as np
from motmetrics import lap

from dimofs.metrics import (
    POSE_JOINTS,
    POSEVAL,
    Floats,
    Integers,
    PoseRules,
    PredictedPoses,
    TruePoses,
    joint_distances,
    ratio,
)

#: The last axis of the counts. `distance` is in head sizes, over the matched pairs.
COUNTS = ("objects", "misses", "switches", "false_positives", "distance")

_JOINTS = len(POSE_JOINTS)


@dataclass(frozen=True)
class TrackedFrame:
    """One counted frame: a labelled frame that people were annotated in, whether or not any of their joints counts."""

    truth: TruePoses
    true_track: Integers  #: (G,) which track of the video each annotated person is, unique in the frame
    predicted: PredictedPoses
    predicted_track: Integers  #: (P,) likewise for the detections
    anybody: bool  #: whether the official program has a person to compare with, be it one without joints


def count_events(frames: Sequence[TrackedFrame], rules: PoseRules = POSEVAL) -> Floats:
    """Count what happens to each joint over the counted frames of one video, in temporal order; (15, 5), see COUNTS.

    The joints of a frame go into motmetrics together and are told apart by their ids, because one call a frame is many
    times quicker than 15; each joint is still assigned by itself, so that ties fall as they do in poseval.

    A video of a single counted frame has none left when the last is dropped; poseval stops there with an error.
    """
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for frame in frames[: len(frames) - 1] if rules.last_frame_dropped else frames:
        if rules.dummy_pair and not (len(frame.predicted.joints) and frame.anybody):
            accumulator.update(np.arange(_JOINTS), np.arange(_JOINTS), np.full((_JOINTS, _JOINTS), np.nan))
            continue
        joint_of_true, person = np.nonzero(frame.truth.labelled.T)
        joint_of_predicted, detection = np.nonzero(frame.predicted.present.T)
        distance = joint_distances(frame.truth, frame.predicted)[detection, person[:, None], joint_of_true[:, None]]
        distance[joint_of_true[:, None] != joint_of_predicted] = np.nan
        with lap.set_default_solver(_JointByJoint(joint_of_true, joint_of_predicted)):
            accumulator.update(
                joint_of_true + _JOINTS * frame.true_track[person],
                joint_of_predicted + _JOINTS * frame.predicted_track[detection],
                distance,
            )
    return _counts(accumulator, rules)


def tracking_metrics(counts: Floats) -> dict[str, Floats]:
    """`mota`, `motp`, `precision` and `recall` of each joint, percent, from counts (…, 15, 5), each (…, 15).

    NaN where a joint is never annotated (MOTA, recall) or never predicted (precision); MOTP is 0 where nothing matches.
    """
    objects, misses, switches, false_positives, distance = np.moveaxis(counts, -1, 0)
    matches = objects - misses
    return {
        "mota": 100 * (1 - ratio(misses + switches + false_positives, objects)),
        "motp": np.where(matches > 0, 100 * (1 - ratio(distance, matches)), 0.0),
        "precision": 100 * ratio(matches, matches + false_positives),
        "recall": 100 * ratio(matches, objects),
    }


@dataclass(frozen=True)
class _JointByJoint:
    """A solver for motmetrics: the least-cost assignment of each joint by itself; rows, columns sorted by joint."""

    joint_of_row: Integers
    joint_of_column: Integers

    def __call__(self, costs: Floats) -> tuple[Integers, Integers]:
        rows, columns = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for joint in np.unique(self.joint_of_row[np.isfinite(costs).any(axis=1)]):
            first_row, end_row = np.searchsorted(self.joint_of_row, [joint, joint + 1])
            first_column, end_column = np.searchsorted(self.joint_of_column, [joint, joint + 1])
            row, column = lap.lsa_solve_scipy(costs[first_row:end_row, first_column:end_column])
            rows.append(first_row + row)
            columns.append(first_column + column)
        return np.concatenate(rows), np.concatenate(columns)


def _counts(accumulator: motmetrics.MOTAccumulator, rules: PoseRules) -> Floats:
    events = accumulator.events
    track = events["OId"].fillna(events["HId"]).to_numpy(np.float64)
    distance = events["D"].fillna(0.0).to_numpy(np.float64)

    def total(kinds: Sequence[str], values: Floats) -> Floats:
        chosen = events["Type"].isin(kinds).to_numpy() & ~np.isnan(track)  # every frame has an event of no track
        joint = track[chosen].astype(np.int64) % _JOINTS
        return np.bincount(joint, values[chosen], minlength=_JOINTS).astype(np.float64)

    one = np.ones(len(events))
    every = ("RAW", "MATCH", "SWITCH", "TRANSFER", "ASCEND", "MIGRATE")
    return np.stack(
        [
            total(("MATCH", "SWITCH", "MISS"), one),
            total(("MISS",), one),
            total(("SWITCH",), one),
            total(("FP",), one),
            total(every if rules.motp_over_every_event else ("MATCH", "SWITCH"), distance),
        ],
        axis=-1,
    )
