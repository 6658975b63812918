"""Accuracy of the rows of Table 4 and the differences that the paper draws, with intervals over source videos (§6.3).

The unit that is drawn is the source video: its dives share pool, camera and divers. All rows share the draws, so that
differences are paired.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dimofs.config import Paper
from dimofs.datasets.diving48 import Dive
from dimofs.datasets.records import DatasetError
from dimofs.metrics import Floats, Recognised, top1
from dimofs.recognition.predictions import LABELS, judge
from dimofs.recognition.rows import Row
from dimofs.statistics import interval, resample_weights, resampled_top1

#: What stands beside the paper's rows: the scene alone, always the largest class of the training dives, and guessing.
CONTROLS = ("scene_only", "majority", "chance")

#: The differences that the paper draws between rows of Table 4 (§6.3), and those to the controls: minuend, subtrahend.
DIFFERENCES = (
    ("init_pose_dimofs", "init_pose"),
    ("init_pose_dimofs", "init_pose_flow"),
    ("init_pose_flow", "init_pose"),
    ("final", "init_pose_dimofs"),
    ("final", "tsn_flow"),
    ("final", "trn"),
    ("final", "r2plus1d"),
    ("final", "c3d"),
    ("final", "r2plus1d_pretrained"),
    ("fusion", "r2plus1d_pretrained"),
    ("init_pose", "chance"),
    ("init_pose_flow", "chance"),
    ("init_pose_dimofs", "chance"),
    ("scene_only", "chance"),
)

_OVERALL, _CLASS_MEAN = 0, 1  # columns of `metrics.top1`


def evaluate_recognition(
    dives: Sequence[Dive], scores: Mapping[str, NDArray[np.float32]], rows: Sequence[Row], paper: Paper, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge the scores (N, LABELS) of the N test dives by every row, and by scene_only where there are any.

    dives: both splits; the training dives decide what the largest class is and which classes there are to guess.
    Returns, in percent, (name, accuracy, ci_low, ci_high, class_mean, class_mean_low, class_mean_high, n_dives,
    n_videos) for the rows and for CONTROLS, and (minuend, subtrahend, paper_difference, difference, ci_low, ci_high)
    for those of DIFFERENCES whose two sides are there. Chance is a constant, so it has no interval of its own.

    Raises DatasetError when a row has no scores.
    """
    test = [dive for dive in dives if dive.split == "test"]
    missing = [row.name for row in rows if row.name not in scores]
    if missing or not test:
        raise DatasetError(f"no predictions of {', '.join(missing) or 'any test dive'}; run chapter recognition again")
    labels = np.bincount([dive.label for dive in dives if dive.split == "train"], minlength=LABELS)
    always = np.tile(labels == labels.max(), (len(test), 1))
    counted = {row.name: judge(scores[row.name], test) for row in rows}
    counted |= {"scene_only": judge(scores["scene_only"], test)} if "scene_only" in scores else {}
    counted["majority"] = judge(always, test)
    chance = 100 / np.count_nonzero(labels)

    n_videos = len(counted["majority"].total)
    weights = resample_weights(n_videos, paper.resamples, seed)
    value = {name: _value(recognised) for name, recognised in counted.items()} | {"chance": np.full(2, chance)}
    samples = {name: resampled_top1(recognised, weights)[:, :2] for name, recognised in counted.items()}
    samples["chance"] = np.full((paper.resamples, 2), chance)

    table = []
    for name in value:
        low, high = interval(value[name], samples[name], paper.confidence)
        if name == "chance":
            low, high = np.full((2, 2), np.nan)
        cells = [(value[name][i], low[i], high[i]) for i in (_OVERALL, _CLASS_MEAN)]
        table.append((name, *cells[0], *cells[1], len(test), n_videos))
    names = ["name", "accuracy", "ci_low", "ci_high", "class_mean", "class_mean_low", "class_mean_high"]
    accuracy = pd.DataFrame(table, columns=[*names, "n_dives", "n_videos"])

    stated = {row.name: row.paper_accuracy for row in rows}
    drawn = []
    for minuend, subtrahend in DIFFERENCES:
        if minuend in value and subtrahend in value:
            difference = value[minuend] - value[subtrahend]
            low, high = interval(difference, samples[minuend] - samples[subtrahend], paper.confidence)
            both = minuend in stated and subtrahend in stated
            in_paper = round(stated[minuend] - stated[subtrahend], 1) if both else None
            drawn.append((minuend, subtrahend, in_paper, difference[_OVERALL], low[_OVERALL], high[_OVERALL]))
    names = ["minuend", "subtrahend", "paper_difference", "difference", "ci_low", "ci_high"]
    return accuracy, pd.DataFrame(drawn, columns=names).astype({"paper_difference": float})


def _value(recognised: Recognised) -> Floats:
    return top1(recognised.correct.sum(axis=0), recognised.total.sum(axis=0))[:2]
