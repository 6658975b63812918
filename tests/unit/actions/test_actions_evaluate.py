import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dimofs.actions.ablations import ActionTraining, Column
from dimofs.actions.evaluate import evaluate_columns, evaluate_sweep
from dimofs.config import Paper
from dimofs.datasets.records import JHMDB_CLASSES, JHMDB_JOINTS, DatasetError, Frame, Person, Video
from dimofs.metrics import ACT, FrameMapRules

PAPER = Paper(resamples=80, confidence=0.9)
FRAMES = 4
BOX = np.array([10, 20, 50, 100], np.float32)
ELSEWHERE = BOX + 200


def make_clip(label, number, frames=FRAMES, split="test"):
    person = Person(0, BOX, None, np.zeros((15, 2), np.float32), np.ones(15, bool))
    many = tuple(Frame(Path(f"{i:05d}.png"), True, (person,), ()) for i in range(frames))
    return Video(f"{JHMDB_CLASSES[label]}/{number}", split, JHMDB_JOINTS, many, label)


CLIPS = [make_clip(label, number) for label in range(21) for number in range(2)]


def detections(clips=CLIPS, deltas=(0,), label=None, score=0.5, box=BOX):
    """One detection in every frame, of the clip's own class unless told otherwise."""
    rows = [
        (clip.name, frame, delta, clip.label if label is None else label, score, box)
        for clip in clips
        for frame in range(len(clip.frames))
        for delta in deltas
    ]
    return pd.DataFrame(rows, columns=["video", "frame", "delta", "label", "score", "box"])


def column(name, training, delta=0, paper_map=50.0):
    inflated = delta is None
    return Column(name, ActionTraining(training, "still", "offsets", not inflated, inflated), False, delta, paper_map)


def frame_map(table, clips=CLIPS, rules=ACT):
    columns, _ = evaluate_columns(clips, [column("4", "dimofs")], {"dimofs": [table]}, PAPER, 0, rules)
    return columns["map"].item()


class TestRule:
    def test_perfect_detections(self):
        assert frame_map(detections()) == pytest.approx(100)

    def test_the_wrong_class_is_wrong(self):
        assert frame_map(detections(label=3)) < 100 / 21

    def test_the_mean_is_over_the_21_classes(self):
        assert frame_map(detections([clip for clip in CLIPS if clip.label == 3])) == pytest.approx(100 / 21)

    def test_no_detections(self):
        assert frame_map(detections().iloc[:0]) == 0

    def test_a_class_by_hand(self):
        """One clip of four frames: found, wrong place, found twice, and nothing in the last frame."""
        clips = [make_clip(5, 0)]
        rows = [(0, 0.9, BOX), (1, 0.8, ELSEWHERE), (2, 0.7, BOX), (2, 0.6, BOX + 1)]
        table = pd.DataFrame(
            [(clips[0].name, frame, 0, 5, score, box) for frame, score, box in rows],
            columns=["video", "frame", "delta", "label", "score", "box"],
        )
        # right, wrong, right, wrong; precision 1, 1/2, 2/3, 1/2; four annotated boxes; other classes are in no clip
        expected = 100 * ((1 + 1) / 2 + (1 / 2 + 2 / 3) / 2) / 4
        assert frame_map(table, clips) == pytest.approx(expected)

    def test_classes_without_clips_may_count_as_zero(self):
        clips = [make_clip(5, 0)]
        assert frame_map(detections(clips), clips) == pytest.approx(100)
        strict = FrameMapRules(absent_class_is_zero=True)
        assert frame_map(detections(clips), clips, strict) == pytest.approx(100 / 21)
        columns, _ = evaluate_columns(
            clips, [column("4", "dimofs")], {"dimofs": [detections(clips)]}, PAPER, 0, strict
        )  # the interval is by the same rules
        assert columns["ci_low"].item() == pytest.approx(100 / 21)

    def test_frames_without_annotations_may_be_left_out(self):
        """A clip of five frames, the last one unlabelled; what is found there scores highest."""
        clip = make_clip(5, 0)
        clips = [dataclasses.replace(clip, frames=(*clip.frames, Frame(Path("00005.png"), False, (), ())))]
        table = detections(clips)
        table.loc[table["frame"] == FRAMES, "score"] = 0.9
        precision = [0, 1 / 2, 2 / 3, 3 / 4, 4 / 5]
        expected = 100 * sum((before + after) / 2 for before, after in pairwise(precision)) / 4
        assert frame_map(table, clips) == pytest.approx(expected)
        assert frame_map(table, clips, FrameMapRules(unannotated_frames_count=False)) == pytest.approx(100)

    def test_detections_of_a_class_in_the_clips_of_others_are_wrong(self):
        """Every clip of class 0 is found, but its detections in the clips of class 1 score higher."""
        clips = [clip for clip in CLIPS if clip.label in (0, 1)]
        table = pd.concat([detections(clips), detections([c for c in clips if c.label == 1], label=0, score=0.9)])
        wrong, right = 8, 8
        precision = [0, *(k / (wrong + k) for k in range(1, right + 1))]
        area = sum((precision[k] + precision[k - 1]) / 2 for k in range(1, right + 1)) / right
        assert frame_map(table, clips) == pytest.approx((100 * area + 100) / 2)

    def test_the_higher_score_takes_the_box_whatever_the_order_of_rows(self):
        clips = [make_clip(5, 0, frames=1)]
        good, better = detections(clips, score=0.6), detections(clips, score=0.7, box=BOX + 1)
        for order in ([good, better], [better, good]):
            assert frame_map(pd.concat(order), clips) == pytest.approx(100)

    def test_training_clips_are_left_out(self):
        assert frame_map(detections(), [*CLIPS, make_clip(0, 9, split="train")]) == pytest.approx(100)


class TestColumns:
    ablations = (
        column("1", "inflated", None, 43.8),
        column("2", "control", 0, 44.3),
        column("3", "control", 10, 44.7),
        column("4", "dimofs", 0, 49.6),
        column("5", "flow", 10, 50.6),
        column("6", "dimofs", 10, 54.4),
        column("2 (frozen)", "control_frozen", 0, 44.3),
        column("3 (frozen)", "control_frozen", 10, 44.7),
    )

    def tables(self):
        half = [clip for clip in CLIPS if clip.name.endswith("0")]
        at_zero, at_ten = detections(half), detections(half, (10,))
        return {
            "inflated": [at_zero],
            "control": [pd.concat([detections(half[:5]), detections(half[:7], (10,))])],
            "control_frozen": [pd.concat([detections(half[:5]), detections(half[:5], (10,))])],
            "dimofs": [pd.concat([at_zero, detections(CLIPS, (10,))])],
            "flow": [at_ten],
        }

    def evaluate(self):
        return evaluate_columns(CLIPS, self.ablations, self.tables(), PAPER, 0)

    def test_columns(self):
        columns, _ = self.evaluate()
        names = ["column", "training", "delta", "map", "ci_low", "ci_high", "n_frames", "seeds", "sd"]
        assert list(columns.columns) == names
        assert columns["column"].tolist() == [column.name for column in self.ablations]
        # half of a class's clips found without an error: precision 1 up to recall 1/2
        expected = [50, 50 * 5 / 21, 50 * 7 / 21, 50, 50, 100, 50 * 5 / 21, 50 * 5 / 21]
        assert columns["map"].tolist() == pytest.approx(expected)
        assert columns["delta"].isna().tolist() == [True] + [False] * 7
        assert (columns["n_frames"] == 42 * FRAMES).all()

    def test_intervals_hold_the_value(self):
        columns, differences = self.evaluate()
        for table, value in ((columns, "map"), (differences, "difference")):
            assert (table["ci_low"] <= table[value] + 1e-9).all()
            assert (table[value] <= table["ci_high"] + 1e-9).all()

    def test_differences_that_the_paper_draws_with_both_readings(self):
        columns, differences = self.evaluate()
        names = ["minuend", "subtrahend", "paper_difference", "difference", "ci_low", "ci_high", "seeds", "sd"]
        assert list(differences.columns) == names
        assert list(zip(differences["minuend"], differences["subtrahend"], strict=True)) == [
            ("4", "2"), ("6", "3"), ("6", "5"), ("6", "4"), ("3", "2"), ("6", "1"),
            ("4", "2 (frozen)"), ("6", "3 (frozen)"), ("3 (frozen)", "2 (frozen)"),
        ]  # fmt: skip
        assert differences["paper_difference"].tolist() == [5.3, 9.7, 3.8, 4.8, 0.4, 10.6, 5.3, 9.7, 0.4]
        ours = columns.set_index("column")["map"]
        expected = [ours[a] - ours[b] for a, b in zip(differences["minuend"], differences["subtrahend"], strict=True)]
        assert differences["difference"].tolist() == pytest.approx(expected)

    def test_differences_are_paired(self):
        """Frozen, the control is the same at both δ: no resample makes a difference."""
        _, differences = self.evaluate()
        row = differences.set_index(["minuend", "subtrahend"]).loc[("3 (frozen)", "2 (frozen)")]
        assert row[["difference", "ci_low", "ci_high"]].tolist() == [0, 0, 0]

    def test_columns_that_are_not_there_draw_no_difference(self):
        chosen = [self.ablations[3], self.ablations[5]]
        _, differences = evaluate_columns(CLIPS, chosen, self.tables(), PAPER, 0)
        assert differences[["minuend", "subtrahend"]].to_numpy().tolist() == [["6", "4"]]

    def test_the_seed_decides_the_intervals_alone(self):
        first, second = (evaluate_columns(CLIPS, self.ablations, self.tables(), PAPER, seed)[0] for seed in (0, 1))
        pd.testing.assert_series_equal(first["map"], second["map"])
        assert (first["ci_low"] != second["ci_low"]).any()
        pd.testing.assert_frame_equal(first, self.evaluate()[0])


class TestSweep:
    clips = (make_clip(0, 0, frames=3), make_clip(1, 0, frames=5))

    def pairs(self, deltas=(0, 2, 4)):
        rows = [
            ("test", clip.name, a, min(a + delta, len(clip.frames) - 1), delta, a + delta >= len(clip.frames))
            for clip in self.clips
            for a in range(len(clip.frames))
            for delta in deltas
        ]
        return pd.DataFrame(rows, columns=["split", "video", "frame_a", "frame_b", "delta", "clamped"])

    def test_values_and_clamping(self):
        tables = {
            "control": [detections(self.clips, (0, 2, 4))],
            "dimofs": [pd.concat([detections(self.clips[:1], (0,)), detections(self.clips, (2, 4))])],
        }
        sweep, _ = evaluate_sweep(self.clips, self.pairs(), tables, PAPER, 0)
        names = [
            "training",
            "delta",
            "map",
            "ci_low",
            "ci_high",
            "n_frames",
            "clamped_fraction",
            "mean_effective_delta",
            "seeds",
            "sd",
        ]
        assert list(sweep.columns) == names
        assert sweep["training"].tolist() == ["control"] * 3 + ["dimofs"] * 3
        assert sweep["delta"].tolist() == [0, 2, 4] * 2
        assert sweep["map"].tolist() == pytest.approx([100, 100, 100, 50, 100, 100])
        assert (sweep["n_frames"] == 8).all()
        # δ = 2: frames 1, 2 of three and 3, 4 of five are clamped; B − A = 2, 1, 0 and 2, 2, 2, 1, 0
        assert sweep["clamped_fraction"][:3].tolist() == pytest.approx([0, 4 / 8, 7 / 8])
        assert sweep["mean_effective_delta"][:3].tolist() == pytest.approx([0, 10 / 8, (2 + 1 + 4 + 3 + 2 + 1) / 8])

    def test_differences_along_the_sweep(self):
        """To δ = 0 and to the paper's peak; a training is compared with itself alone."""
        tables = {
            "control": [detections(self.clips, (0, 2, 12))],
            "dimofs": [pd.concat([detections(self.clips[:1], (0,)), detections(self.clips, (2, 12))])],
        }
        _, differences = evaluate_sweep(self.clips, self.pairs((0, 2, 12)), tables, PAPER, 0)
        names = ["training", "minuend_delta", "subtrahend_delta", "difference", "ci_low", "ci_high", "seeds", "sd"]
        assert list(differences.columns) == names
        assert differences[names[:4]].to_numpy().tolist() == [
            ["control", 2, 0, 0], ["control", 12, 0, 0], ["dimofs", 2, 0, 50], ["dimofs", 12, 0, 50],
            ["control", 0, 12, 0], ["control", 2, 12, 0], ["dimofs", 0, 12, -50], ["dimofs", 2, 12, 0],
        ]  # fmt: skip
        # a resample may draw one clip alone: the gain is then 0 or 100
        gains = differences.query("training == 'dimofs' and subtrahend_delta == 0")
        assert gains[["ci_low", "ci_high"]].to_numpy().tolist() == [[0, 100], [0, 100]]

    def test_a_class_in_no_drawn_clip_is_left_out_of_that_resample(self):
        """Two clips of two classes, one class never found: a resample's mean is 0, 50 or 100 and never undefined."""
        sweep, _ = evaluate_sweep(self.clips, self.pairs((0,)), {"dimofs": [detections(self.clips[:1])]}, PAPER, 0)
        assert sweep[["map", "ci_low", "ci_high"]].to_numpy().tolist() == [[50, 0, 100]]

    def test_training_pairs_are_left_out(self):
        pairs = pd.concat([self.pairs((0,)), self.pairs((0,)).assign(split="train", video="sit/9")])
        sweep, _ = evaluate_sweep(self.clips, pairs, {"dimofs": [detections(self.clips)]}, PAPER, 0)
        assert sweep["n_frames"].tolist() == [8]

    def test_pairs_that_miss_a_frame(self):
        with pytest.raises(DatasetError, match="pairs: δ = 0 does not list the frames of the test clips"):
            evaluate_sweep(self.clips, self.pairs((0,)).iloc[1:], {"dimofs": [detections(self.clips)]}, PAPER, 0)


class TestSeeds:
    """Two seeds, of which the second finds the clips of every second class alone."""

    chosen = (column("4", "dimofs"), column("2", "control"))
    tables = (detections(), detections([clip for clip in CLIPS if clip.label % 2]))

    def test_columns_and_a_paired_difference(self):
        found = {"dimofs": self.tables, "control": self.tables}
        columns, differences = evaluate_columns(CLIPS, self.chosen, found, PAPER, 0)
        spread = 100 * 11 / 21
        assert columns["map"].tolist() == pytest.approx([100 - spread / 2] * 2)
        assert columns["sd"].tolist() == pytest.approx([spread / 2**0.5] * 2)
        assert columns["seeds"].tolist() == [2, 2]
        assert columns["ci_high"].tolist() == pytest.approx([100] * 2)
        assert (columns["ci_low"] < 100 - spread / 2 - 10).all()
        assert differences[["difference", "ci_low", "ci_high", "sd"]].to_numpy().tolist() == [[0, 0, 0, 0]]

    def test_a_sweep(self):
        rows = [("test", clip.name, a, a, 0, False) for clip in CLIPS for a in range(FRAMES)]
        pairs = pd.DataFrame(rows, columns=["split", "video", "frame_a", "frame_b", "delta", "clamped"])
        sweep, _ = evaluate_sweep(CLIPS, pairs, {"dimofs": self.tables}, PAPER, 0)
        columns, _ = evaluate_columns(CLIPS, self.chosen[:1], {"dimofs": self.tables}, PAPER, 0)
        same = ["map", "ci_low", "ci_high", "seeds", "sd"]
        assert sweep[same].to_numpy().tolist() == columns[same].to_numpy().tolist()


class TestErrors:
    def evaluate(self, table, clips=CLIPS):
        return evaluate_columns(clips, [column("4", "dimofs")], {"dimofs": [table]}, PAPER, 0)

    def test_detections_of_another_data_set(self):
        with pytest.raises(DatasetError, match="detections of dimofs: sit/77, frame 0 is in no test clip"):
            self.evaluate(detections([make_clip(JHMDB_CLASSES.index("sit"), 77)]))

    def test_a_frame_beyond_the_end(self):
        with pytest.raises(DatasetError, match="frame 4 is in no test clip"):
            self.evaluate(detections([make_clip(0, 0, frames=5)]))

    def test_a_missing_column(self):
        with pytest.raises(DatasetError, match="detections of dimofs: no column box, score"):
            self.evaluate(detections().drop(columns=["score", "box"]))

    def test_a_missing_training(self):
        with pytest.raises(DatasetError, match="detections of dimofs: not there"):
            evaluate_columns(CLIPS, [column("4", "dimofs")], {}, PAPER, 0)

    def test_no_test_clip(self):
        with pytest.raises(DatasetError, match="no test clip"):
            self.evaluate(detections(), [make_clip(0, 0, split="train")])
