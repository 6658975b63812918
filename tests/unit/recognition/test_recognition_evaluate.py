"""Accuracy of the rows of Table 4 beside chance and controls, and paired differences over source videos."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dimofs.config import Paper
from dimofs.datasets.diving48 import Dive
from dimofs.datasets.records import DatasetError
from dimofs.paper.claims import paper_claims
from dimofs.recognition.evaluate import CONTROLS, DIFFERENCES, evaluate_recognition
from dimofs.recognition.predictions import LABELS
from dimofs.recognition.rows import Row, read_rows

PAPER = Paper(resamples=400, confidence=0.9)
ROOT = Path(__file__).parents[3]


def dives_of(videos: int, of_each: int) -> list[Dive]:
    """Test dives of `videos` source videos, labels 0 to 3 in turn; training dives of labels 0, 1, 2, 3 and 3."""
    test = [
        Dive(f"s{video}_{index:05d}", "test", Path("v.mp4"), index % 4, 9)
        for video in range(videos)
        for index in range(of_each)
    ]
    return [*(Dive(f"t_{i:05d}", "train", Path("v.mp4"), label, 9) for i, label in enumerate((0, 1, 2, 3, 3))), *test]


def scores_for(dives: list[Dive], right: list[bool]) -> np.ndarray:
    """One-hot scores, wrong ones saying label 9."""
    test = [dive for dive in dives if dive.split == "test"]
    return np.eye(LABELS, dtype=np.float32)[[dive.label if hit else 9 for dive, hit in zip(test, right, strict=True)]]


ROWS = [Row(name, name, "2D", "None", stated) for name, stated in (("init_pose", 17.2), ("init_pose_dimofs", 21.4))]


def judge(right: dict[str, list[bool]], dives: list[Dive]) -> tuple[pd.DataFrame, pd.DataFrame]:
    scores = {name: scores_for(dives, hits) for name, hits in right.items()}
    accuracy, differences = evaluate_recognition(dives, scores, ROWS, PAPER, 0)
    return accuracy.set_index("name"), differences.set_index(["minuend", "subtrahend"])


def test_values_and_controls() -> None:
    dives = dives_of(5, 8)
    accuracy, differences = judge(
        {
            "init_pose": [True, False] * 20,
            "init_pose_dimofs": [True, True, True, False] * 10,
            "scene_only": [False] * 40,
        },
        dives,
    )
    assert accuracy["accuracy"].to_dict() == {
        "init_pose": 50, "init_pose_dimofs": 75, "scene_only": 0, "majority": 25, "chance": 25
    }  # fmt: skip
    assert accuracy.loc["init_pose", "class_mean"] == 50
    assert (accuracy["n_dives"] == 40).all()
    assert (accuracy["n_videos"] == 5).all()
    assert np.isnan(accuracy.loc["chance", ["ci_low", "ci_high"]].astype(float)).all()
    gain = differences.loc[("init_pose_dimofs", "init_pose")]
    assert (gain["difference"], gain["paper_difference"]) == (25, 4.2)
    # every source video is alike, so that drawing them changes nothing
    assert (gain["ci_low"], gain["ci_high"]) == (25, 25)
    assert differences.loc[("init_pose", "chance"), "difference"] == 25
    assert np.isnan(differences.loc[("init_pose", "chance"), "paper_difference"])
    assert ("final", "trn") not in differences.index


def test_source_videos_are_drawn_and_differences_paired() -> None:
    """All of a video right or all wrong: drawing dives would give an interval half as wide."""
    dives = dives_of(10, 20)
    hits = [video % 2 == 0 for video in range(10) for _ in range(20)]
    accuracy, differences = judge({"init_pose": hits, "init_pose_dimofs": hits}, dives)
    width = accuracy.loc["init_pose", "ci_high"] - accuracy.loc["init_pose", "ci_low"]
    assert width == pytest.approx(2 * 1.645 * 100 * np.sqrt(0.25 / 10), rel=0.25)
    gain = differences.loc[("init_pose_dimofs", "init_pose")]
    assert (gain["ci_low"], gain["difference"], gain["ci_high"]) == (0, 0, 0)


def test_a_row_without_predictions_is_an_error() -> None:
    dives = dives_of(2, 4)
    with pytest.raises(DatasetError, match="init_pose_dimofs"):
        evaluate_recognition(dives, {"init_pose": scores_for(dives, [True] * 8)}, ROWS, PAPER, 0)


def test_every_claim_about_dives_names_a_difference_that_is_drawn() -> None:
    named = {row.name for row in read_rows(ROOT / "config/recognition.tsv")} | set(CONTROLS)
    assert {name for pair in DIFFERENCES for name in pair} <= named
    stated = {row.name: row.paper_accuracy for row in read_rows(ROOT / "config/recognition.tsv")}
    claims = [claim for claim in paper_claims() if claim.measured.table == "recognition/differences.csv"]
    assert len(claims) > 10
    for claim in claims:
        minuends, subtrahend = claim.measured.row["minuend"], claim.measured.row["subtrahend"]
        for minuend in minuends if isinstance(minuends, list) else [minuends]:
            assert (minuend, subtrahend) in DIFFERENCES
            if claim.paper is not None:
                assert claim.paper == pytest.approx(stated[minuend] - stated[str(subtrahend)])


def test_the_largest_class_and_those_to_guess_are_of_the_training_dives() -> None:
    """Of label 0 are most test dives, but of label 2 most of three in training."""
    training = [Dive(f"t_{i:05d}", "train", Path("v.mp4"), label, 9) for i, label in enumerate((0, 1, 2, 2))]
    test = [Dive(f"s{i % 2}_{i:05d}", "test", Path("v.mp4"), label, 9) for i, label in enumerate((0, 0, 0, 1, 2))]
    accuracy, _ = judge(dict.fromkeys(("init_pose", "init_pose_dimofs"), [True] * 5), [*training, *test])
    assert accuracy.loc["majority", "accuracy"] == pytest.approx(20)
    assert accuracy.loc["chance", "accuracy"] == pytest.approx(100 / 3)


def test_class_means_have_their_own_intervals_and_differences_are_of_all_dives() -> None:
    """Of six dives of a source video two each are of labels 0 and 1, one each of 2 and 3; all videos are alike."""
    dives = dives_of(4, 6)
    right = {"init_pose": [True, True, False, False, True, True] * 4, "init_pose_dimofs": [True] * 24}
    accuracy, differences = judge(right, dives)
    row = accuracy.loc["init_pose"]
    assert row[["accuracy", "ci_low", "ci_high"]].tolist() == pytest.approx([200 / 3] * 3)
    assert row[["class_mean", "class_mean_low", "class_mean_high"]].tolist() == pytest.approx([50] * 3)
    gain = differences.loc[("init_pose_dimofs", "init_pose")]
    assert gain[["difference", "ci_low", "ci_high"]].tolist() == pytest.approx([100 / 3] * 3)
