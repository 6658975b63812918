"""The rules of the metrics: pose mAP as poseval counts it, frame-mAP as ACT counts it, top-1 of dives. Numpy only.

Both average precisions judge every detection inside its own frame, rank the judged detections of the whole test set by
score and take an area under the precision-recall curve, in percent. They differ in the area: poseval (Table 1, Figure
6) takes the monotone envelope of precision, ACT (Table 3, Figure 7) the trapezoids under the raw curve. On the same
detections the choice of area and pixel convention alone moves a frame-mAP by 1.5 points, so neither rule is a matter of
taste.

Equal scores keep the order in which the detections were given (stable sort), so results do not depend on the machine.
Boxes are (x1, y1, x2, y2) with continuous edges. A box that covers the pixels 3..7 has the width 8 − 3 = 5 here and
7 − 3 + 1 = 5 in ACT's inclusive pixels, so `box_iou` is ACT's "+1" IoU.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: A joint is found when it lies within this fraction of the head size (A25).
PCKH_THRESHOLD = 0.5
#: The head size is this fraction of the head box's diagonal (A25).
HEAD_SIZE = 0.6
#: A box is found from this IoU on (A31).
IOU_THRESHOLD = 0.5

#: What is exported as the neck (A21).
Neck = Literal["shoulders", "head_bottom"]
#: Whose score ranks a joint: its own, or its person's as Detect-and-Track exports it.
RankedBy = Literal["joint", "person"]

#: The 15 evaluated joints (A20): the slots of PoseTrack18 without the ears; `neck` is the slot head_bottom.
POSE_JOINTS = (
    "nose", "neck", "head_top", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist",
    "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
#: The columns of Table 1: each is the mean of these positions of POSE_JOINTS; `mean` is over the 15 joints.
POSE_COLUMNS = {
    "head": (0, 1, 2),
    "shou": (3, 4),
    "elbo": (5, 6),
    "wri": (7, 8),
    "hip": (9, 10),
    "knee": (11, 12),
    "ank": (13, 14),
    "mean": tuple(range(15)),
}
_SLOTS = [0, 1, 2, *range(5, 17)]  # of the 17 PoseTrack18 slots; 3 and 4 are the ears
_NECK, _SHOULDERS = 1, (3, 4)  # positions in POSE_JOINTS

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class PoseRules:
    """What poseval does and one might not expect, each a switch; the defaults are what published numbers rest on.

    The first four concern AP (and, but for the third, tracking), the others tracking alone.
    """

    ignore_regions: bool = True  #: joints strictly inside an ignore region are removed on both sides
    unannotated_joint_is_wrong: bool = True  #: a predicted joint that its paired person has no annotation of is
    absent_joint_has_zero_ap: bool = True  #: neither annotated nor predicted anywhere: AP 0 instead of none
    mean_over_joints: bool = True  #: `mean` is over the 15 joints instead of over the seven columns before it
    last_frame_dropped: bool = True  #: the last counted frame of every video is left out of tracking
    dummy_pair: bool = True  #: a frame without detections is one miss and one false positive for every joint
    #: In tracking, a frame of which all annotated people lack joints has somebody to compare with, unless it has ignore
    #: regions. So it is with files of PoseTrack18; those of PoseTrack17 lose such people, which makes it a dummy pair.
    people_without_joints_stay: bool = True
    #: MOTP sums the distances of all of motmetrics' events. poseval does so since motmetrics 1.2 and prints a wrong
    #: MOTP; published values are older, so this one is off.
    motp_over_every_event: bool = False


#: The official rules.
POSEVAL = PoseRules()


@dataclass(frozen=True)
class FrameMapRules:
    """The conventions in which published frame-mAPs differ, each a switch; the defaults are ACT's (A31).

    Evaluators in the style of PASCAL VOC and AVA take the envelope and never the next best box, and count the classes
    and frames of the annotations alone.
    """

    envelope: bool = False  #: area under the monotone envelope of precision, not the trapezoids under the raw curve
    inclusive_pixels: bool = True  #: a box from pixel 3 to pixel 7 is 5 wide; otherwise 4, as without "+1"
    next_best_box: bool = True  #: a detection whose best box is taken may take another one; otherwise it is wrong
    absent_class_is_zero: bool = False  #: a class without annotations has AP 0; otherwise none, and leaves the mean
    unannotated_frames_count: bool = True  #: detections on frames without annotations are wrong; otherwise left out


#: The rules behind the paper's Table 3 and Figure 7.
ACT = FrameMapRules()
_NO_ABSENT_JOINTS = PoseRules(absent_joint_has_zero_ap=False)


@dataclass(frozen=True)
class TruePoses:
    """The annotated people of one frame that count: those with a joint outside every ignore region."""

    joints: Floats  #: (G, 15, 2) x y, pixels; undefined where not labelled
    labelled: Flags  #: (G, 15), at least one true in every row
    head_size: Floats  #: (G,) pixels
    source: Integers  #: (G,) which of the people given this is


@dataclass(frozen=True)
class PredictedPoses:
    """The detected people of one frame that count: those with a joint outside every ignore region."""

    joints: Floats  #: (P, 15, 2) x y, pixels
    present: Flags  #: (P, 15), at least one true in every row
    score: Floats  #: (P, 15), by which poseval ranks each joint
    source: Integers  #: (P,) which of the detections given this is


@dataclass(frozen=True)
class Recognised:
    """The videos of each class of a test set, counted by group: what belongs together when videos are resampled."""

    correct: Integers  #: (V, C) videos of a class that were recognised
    total: Integers  #: (V, C) videos of a class


@dataclass(frozen=True)
class Ranking:
    """The judged detections of one joint or class over a test set, by falling score."""

    correct: Flags  #: (N,)
    video: Integers  #: (N,) which of the V videos the detection is in
    positives: Integers  #: (V,) how many annotations each video holds


def true_poses(
    joints: ArrayLike, labelled: ArrayLike, head_boxes: ArrayLike, regions: Sequence[ArrayLike]
) -> TruePoses:
    """Prepare a frame's annotations: drop the ears and every joint strictly inside an ignore region.

    joints (G, 17, 2) pixels in PoseTrack18 order, labelled (G, 17) bool, head_boxes (G, 4) x1 y1 x2 y2, regions
    polygons (K, 2). A person who keeps no joint is removed.
    """
    points = np.asarray(joints, np.float64).reshape(-1, 17, 2)[:, _SLOTS]
    boxes = np.asarray(head_boxes, np.float64).reshape(-1, 4)
    counted = np.asarray(labelled, bool).reshape(-1, 17)[:, _SLOTS] & ~_ignored(points, regions)
    kept = counted.any(axis=1)
    diagonal = np.hypot(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    return TruePoses(points[kept], counted[kept], HEAD_SIZE * diagonal[kept], np.flatnonzero(kept))


def exported_scores(person: ArrayLike, logits: ArrayLike, ranked_by: RankedBy, neck: Neck) -> Floats:
    """The score (P, 17) that is exported for each joint, from box scores (P,) and heat map logits (P, 17).

    A joint's own score is box score × σ(logit); the neck between the shoulders (A21) has the mean of their logits.
    """
    boxes, values = np.asarray(person, np.float64).reshape(-1, 1), np.array(logits, np.float64).reshape(-1, 17)
    if ranked_by == "person":
        return np.repeat(boxes, 17, axis=1)
    if neck == "shoulders":
        values[:, 1] = values[:, 5:7].mean(axis=1)
    return boxes / (1 + np.exp(-values))


def predicted_poses(joints: ArrayLike, score: ArrayLike, regions: Sequence[ArrayLike], neck: Neck) -> PredictedPoses:
    """Prepare a frame's detections as the official exporters do (A20, A21), by the same ignore rule as `true_poses`.

    joints (P, 17, 2) pixels in PoseTrack18 order, NaN where a joint is not exported; score (P, 17). With neck =
    "shoulders" the predicted head_bottom is replaced by the midpoint of the two shoulders (A21).
    """
    points = np.asarray(joints, np.float64).reshape(-1, 17, 2)[:, _SLOTS]
    if neck == "shoulders":
        points[:, _NECK] = points[:, _SHOULDERS].mean(axis=1)
    present = ~_ignored(points, regions) & ~np.isnan(points).any(axis=-1)
    kept = present.any(axis=1)
    scores = np.asarray(score, np.float64).reshape(-1, 17)[:, _SLOTS]
    return PredictedPoses(points[kept], present[kept], scores[kept], np.flatnonzero(kept))


def strictly_inside(points: ArrayLike, polygon: ArrayLike) -> Flags:
    """Whether each point (…, 2) lies inside the polygon (K, 2), even-odd rule, border outside; shape (…)."""
    x, y = np.moveaxis(np.asarray(points, np.float64)[..., None, :], -1, 0)
    corners = np.asarray(polygon, np.float64).reshape(-1, 2)
    (x1, y1), (x2, y2) = corners.T, np.roll(corners, -1, axis=0).T
    side = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)  # 0 on the line of the edge, its sign tells the sides apart
    crosses_to_the_right = ((y1 > y) != (y2 > y)) & ((side > 0) == (y2 > y1))
    beside_x = (np.minimum(x1, x2) <= x) & (x <= np.maximum(x1, x2))
    beside_y = (np.minimum(y1, y2) <= y) & (y <= np.maximum(y1, y2))
    on_border = ((side == 0) & beside_x & beside_y).any(axis=-1)
    return (crosses_to_the_right.sum(axis=-1) % 2 == 1) & ~on_border


def match_poses(truth: TruePoses, predicted: PredictedPoses) -> Flags:
    """Which predicted joints of a frame are right, (P, 15); one whose `present` is false is never right.

    People are paired one to one: every prediction keeps the person of whom it finds the largest fraction of annotated
    joints, then every person the prediction that finds most (the first on a tie, none when nothing is found). Scores
    play no part. A joint of a pair is right within PCKH_THRESHOLD × head size; it is wrong when the person has no
    annotation of it, and so is every joint of an unpaired prediction.
    """
    correct = np.zeros(predicted.present.shape, bool)
    found = ~np.isnan(joint_distances(truth, predicted))
    for detection, person in _pairs(found, truth.labelled):
        correct[detection] = found[detection, person]
    return correct


def joint_distances(truth: TruePoses, predicted: PredictedPoses) -> Floats:
    """How far each predicted joint is from each annotated one, (P, G, 15), in head sizes of the annotated person.

    NaN where the joint is missing on either side or the distance exceeds PCKH_THRESHOLD.
    """
    head_size = np.where(truth.head_size > 0, truth.head_size, np.nan)  # without a head nothing can be measured
    distance = np.linalg.norm(predicted.joints[:, None] - truth.joints[None], axis=-1) / head_size[:, None]
    found = (distance <= PCKH_THRESHOLD) & predicted.present[:, None] & truth.labelled[None]
    return np.where(found, distance, np.nan)


def without_unannotated_joints(truth: TruePoses, predicted: PredictedPoses) -> PredictedPoses:
    """Take from each paired prediction the joints that its person has no annotation of; a person left empty goes."""
    present = predicted.present.copy()
    for detection, person in _pairs(~np.isnan(joint_distances(truth, predicted)), truth.labelled):
        present[detection] &= truth.labelled[person]
    kept = present.any(axis=1)
    return PredictedPoses(predicted.joints[kept], present[kept], predicted.score[kept], predicted.source[kept])


def rank_joints(frames: Iterable[tuple[int, TruePoses, PredictedPoses]], videos: int) -> list[Ranking]:
    """Judge the frames of a test set and rank the detections of each of the 15 joints.

    A frame is (its video's index below `videos`, annotations, detections). Only frames with at least one annotated
    person belong here: the official rule leaves the others out, and with them their false positives.
    """
    positives = np.zeros((videos, 15), np.int64)
    correct, present = [np.zeros((0, 15), bool)], [np.zeros((0, 15), bool)]
    score, video = [np.zeros((0, 15))], [np.zeros(0, np.int64)]
    for index, truth, predicted in frames:
        positives[index] += truth.labelled.sum(axis=0)
        correct.append(match_poses(truth, predicted))
        present.append(predicted.present)
        score.append(predicted.score)
        video.append(np.full(len(predicted.score), index))
    right, there, scores, where = (np.concatenate(parts) for parts in (correct, present, score, video))
    return [
        rank(scores[there[:, j], j], right[there[:, j], j], where[there[:, j]], positives[:, j])
        for j in range(len(POSE_JOINTS))
    ]


def pose_columns(joint_values: Floats, rules: PoseRules = POSEVAL) -> Floats:
    """Average the 15 joints (…, 15) into the eight columns of Tables 1 and 2 (…, 8), in the order of POSE_COLUMNS.

    As poseval: a joint whose value is undefined (NaN) makes its own column undefined, but the mean is over the others.
    """
    columns = [joint_values[..., positions].mean(axis=-1) for positions in POSE_COLUMNS.values()]
    columns[-1] = mean_of_defined(joint_values if rules.mean_over_joints else np.stack(columns[:-1], axis=-1))
    return np.stack(columns, axis=-1)


def box_iou(boxes: ArrayLike, others: ArrayLike) -> Floats:
    """Intersection over union of boxes (P, 4) with others (G, 4), shape (P, G); 0 where they do not meet."""
    x1, y1, x2, y2 = np.asarray(boxes, np.float64).reshape(-1, 1, 4).transpose(2, 0, 1)
    u1, v1, u2, v2 = np.asarray(others, np.float64).reshape(1, -1, 4).transpose(2, 0, 1)
    width, height = np.minimum(x2, u2) - np.maximum(x1, u1), np.minimum(y2, v2) - np.maximum(y1, v1)
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    union = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - shared
    return np.divide(shared, union, out=np.zeros(union.shape), where=shared > 0)


def match_boxes(boxes: ArrayLike, truth: ArrayLike, rules: FrameMapRules = ACT) -> Flags:
    """Which boxes (P, 4) of one class in one frame, by falling score, are right against the annotated boxes (G, 4).

    ACT's rule: a detection is right when, of the annotated boxes not taken yet, the one it overlaps most has an IoU of
    at least IOU_THRESHOLD; that one is then taken. Shape (P,).
    """
    # edges to pixels: a box with the edges 3 and 8 ends with pixel 7
    ends = np.array([0, 0, 0, 0] if rules.inclusive_pixels else [0, 0, 1, 1])
    iou = box_iou(*(np.asarray(side, np.float64).reshape(-1, 4) - ends for side in (boxes, truth)))
    correct = np.zeros(len(iou), bool)
    taken = np.zeros(iou.shape[1], bool)
    for detection in range(len(iou) if iou.shape[1] else 0):
        overlap = np.where(taken, -1, iou[detection]) if rules.next_best_box else iou[detection]
        best = overlap.argmax()
        if overlap[best] >= IOU_THRESHOLD and not taken[best]:
            correct[detection] = taken[best] = True
    return correct


def rank(score: ArrayLike, correct: ArrayLike, video: ArrayLike, positives: ArrayLike) -> Ranking:
    """Sort judged detections (N,) by falling score, equal scores in the order given; positives (V,) per video."""
    order = np.argsort(-np.asarray(score, np.float64), kind="stable")
    return Ranking(
        np.asarray(correct, bool)[order], np.asarray(video, np.int64)[order], np.asarray(positives, np.int64)
    )


def envelope_ap(ranking: Ranking, rules: PoseRules = POSEVAL) -> float:
    """Area under the monotone envelope of precision over recall, in percent: poseval's AP (A25).

    poseval's corner cases: a joint that is neither annotated nor predicted anywhere has an AP of 0; one that is
    predicted but annotated nowhere has none (NaN).
    """
    positives = ranking.positives.sum()
    if not positives:
        return 0.0 if rules.absent_joint_has_zero_ap and not len(ranking.correct) else np.nan
    best_precision_from_here = np.maximum.accumulate(_precision(ranking.correct)[::-1])[::-1]
    return float(100 * best_precision_from_here[ranking.correct].sum() / positives)


def trapezoid_ap(ranking: Ranking) -> float:
    """Area of the trapezoids under the raw precision-recall curve, in percent: ACT's AP (A31).

    The curve starts at recall 0, precision 1 and ends at its last detection. NaN for a class without annotations.
    """
    positives = ranking.positives.sum()
    if not positives:
        return np.nan
    precision = np.concatenate([[1.0], _precision(ranking.correct)])
    height = (precision[1:] + precision[:-1]) / 2
    return float(100 * height[ranking.correct].sum() / positives)


def class_ap(ranking: Ranking, rules: FrameMapRules = ACT) -> float:
    """AP of one action class, percent; NaN for a class without annotations, unless the rules give it 0."""
    ap = envelope_ap(ranking, _NO_ABSENT_JOINTS) if rules.envelope else trapezoid_ap(ranking)
    return 0.0 if rules.absent_class_is_zero and np.isnan(ap) else ap


def count_recognised(predicted: ArrayLike, label: ArrayLike, group: ArrayLike, classes: int) -> Recognised:
    """Count the videos (N,) whose predicted class is their label.

    group: index of what each video is drawn with in a bootstrap: itself, or the recording that it was cut from.
    """
    guess, truth, where = (np.asarray(values, np.int64).reshape(-1) for values in (predicted, label, group))
    total = np.zeros((1 + where.max(initial=-1), classes), np.int64)
    correct = np.zeros_like(total)
    np.add.at(total, (where, truth), 1)
    np.add.at(correct, (where, truth), guess == truth)
    return Recognised(correct, total)


def top1(correct: ArrayLike, total: ArrayLike) -> Floats:
    """Top-1 accuracy from counts (…, C), percent: of all videos, mean over the classes, then each class, (…, 2 + C).

    Papers print either of the first two, which differ by many points on Diving48. A class without videos has none (NaN)
    and leaves the mean: class 30 of Diving48 V2 is in neither split.
    """
    found, there = np.asarray(correct, np.float64), np.asarray(total, np.float64)
    by_class = ratio(found, there)
    overall = ratio(found.sum(axis=-1), there.sum(axis=-1))
    return 100 * np.concatenate([overall[..., None], mean_of_defined(by_class)[..., None], by_class], axis=-1)


def ratio(part: Floats, whole: Floats) -> Floats:
    """Quotients of counts (…); NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def mean_of_defined(values: Floats) -> Floats:
    """Mean over the last axis of the entries that are not NaN; NaN where there is none."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=-1)
    return np.where(count > 0, np.where(defined, values, 0.0).sum(axis=-1) / np.maximum(count, 1), np.nan)


def _pairs(found: Flags, labelled: Flags) -> list[tuple[int, int]]:
    """Pair people one to one by the joints found (P, G, 15): (prediction, person), as `match_poses` says."""
    if not found.size:
        return []
    fraction = found.sum(axis=-1) / labelled.sum(axis=-1)
    fraction[np.arange(fraction.shape[1]) != fraction.argmax(axis=1)[:, None]] = 0
    partner = fraction.argmax(axis=0)
    return [(int(partner[person]), int(person)) for person in np.flatnonzero(fraction.max(axis=0))]


def _ignored(points: Floats, regions: Sequence[ArrayLike]) -> Flags:
    inside = np.zeros(points.shape[:-1], bool)
    for polygon in regions:
        inside |= strictly_inside(points, polygon)
    return inside


def _precision(correct: Flags) -> Floats:
    return np.cumsum(correct) / np.arange(1, len(correct) + 1)
