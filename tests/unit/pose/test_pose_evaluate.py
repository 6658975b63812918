from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dimofs.config import Paper
from dimofs.datasets.records import POSETRACK_JOINTS, DatasetError, Frame, Person, Video
from dimofs.pose.evaluate import evaluate_pose
from dimofs.pose.judge import mean_ap

PAPER = Paper(resamples=60, confidence=0.95)
EARS = np.array(["ear" in name for name in POSETRACK_JOINTS])
FRAMES, SPEED = 6, 4.0  # pixels a frame; head size 6, so a joint is found within 3 pixels
DELTAS = (-2, 0, 2)


def joints(video, frame):
    """A person of 17 joints, 10 pixels apart, that walks to the right; each video has its own height."""
    x = 10.0 * np.arange(17) + SPEED * frame
    return np.stack([x, np.full(17, 20.0 * video)], axis=-1).astype(np.float32)


def person(video, frame, **changes):
    fields = {
        "track_id": 7,
        "box": np.zeros(4, np.float32),
        "head_box": np.array([0, 0, 6, 8], np.float32),
        "joints": joints(video, frame),
        "labelled": ~EARS,
    }
    return Person(**(fields | changes))


def make_video(video, people=None, regions=(), labelled=range(FRAMES), split="val"):
    people = people or (lambda frame: (person(video, frame),))
    frames = tuple(
        Frame(Path(f"{frame}.jpg"), frame in labelled, people(frame) if frame in labelled else (), tuple(regions))
        for frame in range(FRAMES)
    )
    return Video(f"{video:06d}_mpii_test", split, POSETRACK_JOINTS, frames, None)


def make_pairs(videos, deltas=DELTAS):
    rows = [
        (video.split, video.name, a, min(max(a + delta, 0), FRAMES - 1), delta)
        for video in videos
        for a, frame in enumerate(video.frames)
        for delta in deltas
        if frame.labelled
    ]
    return pd.DataFrame(rows, columns=["split", "video", "frame_a", "frame_b", "delta"])


def detections(videos, deltas=(0,), score=0.9, moved=0.0):
    """The true poses of every frame for every δ, all joints, moved to the right."""
    rows = [
        (video.name, frame, delta, score, (joints(int(video.name[:6]), frame) + np.array([moved, 0])).ravel())
        for video in videos
        for frame in range(FRAMES)
        for delta in deltas
    ]
    table = pd.DataFrame(rows, columns=["video", "frame", "delta", "score", "joints"])
    return table.assign(joint_scores=[np.zeros(17)] * len(table))


def evaluate(videos, single_frame=None, dimofs=None, pairs=None, neck="head_bottom", ranked_by="joint"):
    single_frame = detections(videos) if single_frame is None else single_frame
    dimofs = detections(videos, DELTAS) if dimofs is None else dimofs
    pairs = make_pairs(videos) if pairs is None else pairs
    return evaluate_pose(videos, pairs, [single_frame], [dimofs], neck, ranked_by, PAPER, 0)


def value(table, method, delta, joint="mean", column="ap"):
    row = table[(table["method"] == method) & (table["delta"] == delta) & (table["joint"] == joint)]
    assert len(row) == 1
    return row[column].item()


VIDEOS = [make_video(v) for v in range(3)]


def test_the_mean_of_the_training_curve_is_the_one_of_the_table():
    found = pd.concat([detections(VIDEOS[:2]), detections(VIDEOS[2:], score=0.95, moved=50)])
    table, _ = evaluate(VIDEOS, single_frame=found, neck="shoulders")
    assert mean_ap(VIDEOS, make_pairs(VIDEOS, (0,)), found) == pytest.approx(value(table, "single_frame", 0))
    assert 0 < mean_ap(VIDEOS, make_pairs(VIDEOS, (0,)), found) < 100


class TestMethods:
    def test_perfect_detections(self):
        table, _ = evaluate(VIDEOS)
        assert value(table, "single_frame", 0) == pytest.approx(100)
        assert [value(table, "dimofs", delta) for delta in DELTAS] == pytest.approx([100, 100, 100])

    def test_copying_misses_what_has_moved(self):
        """At δ = ±2 a joint is 8 pixels off or, where B is clamped, 4: only the frame that is its own B is found."""
        table, _ = evaluate(VIDEOS)
        assert value(table, "copy", 0) == pytest.approx(100)
        # 3 videos × 6 frames, all scores equal: in each video the last (for δ = 2) of six detections is right
        assert value(table, "copy", 2) == pytest.approx(100 / 18 * (1 / 6 + 2 / 12 + 3 / 18))
        # and for δ = −2 the first, so that precision is 1, 2/7 and 3/13 there
        assert value(table, "copy", -2) == pytest.approx(100 / 18 * (1 + 2 / 7 + 3 / 13))

    def test_copying_scores_the_detections_of_frame_b_against_frame_a(self):
        """Detections that lag two frames behind are right when copied from two frames later."""
        table, _ = evaluate(
            VIDEOS,
            single_frame=detections(VIDEOS, moved=-2 * SPEED),
            dimofs=detections(VIDEOS).iloc[:0],
            pairs=make_pairs(VIDEOS).query("frame_a + delta == frame_b"),
        )
        assert value(table, "copy", 2) == pytest.approx(100)
        assert value(table, "copy", 0) == 0
        assert value(table, "single_frame", 0) == 0

    def test_dimofs_is_scored_with_the_detections_of_its_own_delta(self):
        moved = pd.concat([detections(VIDEOS, (-2, 0)), detections(VIDEOS, (2,), moved=50)])
        table, _ = evaluate(VIDEOS, dimofs=moved)
        assert [value(table, "dimofs", delta) for delta in DELTAS] == pytest.approx([100, 100, 0])

    def test_a_pair_without_detections_is_missed(self):
        dimofs = detections(VIDEOS, DELTAS).query("frame < 3 or delta != 0")
        table, _ = evaluate(VIDEOS, dimofs=dimofs)
        assert value(table, "dimofs", 0) == pytest.approx(50)

    def test_no_detections_at_all(self):
        nothing = detections(VIDEOS).iloc[:0]
        table, differences = evaluate(VIDEOS, single_frame=nothing, dimofs=nothing)
        assert (table["ap"] == 0).all()
        assert (differences["difference"] == 0).all()


class TestRules:
    def test_a_labelled_frame_without_people_is_left_out_with_its_detections(self):
        videos = [make_video(0, lambda frame: (person(0, frame),) if frame else ()), *VIDEOS[1:]]
        table, _ = evaluate(videos)
        assert value(table, "single_frame", 0) == pytest.approx(100)
        assert value(table, "single_frame", 0, column="n_frames") == 17

    def test_unlabelled_frames_are_left_out(self):
        videos = [make_video(v, labelled=(2, 3)) for v in range(3)]
        table, _ = evaluate(videos, dimofs=detections(videos, DELTAS).query("frame in (2, 3)"))
        assert (table["n_frames"] == 6).all()
        assert (table["n_videos"] == 3).all()

    def test_the_training_split_is_left_out(self):
        training = make_video(9, split="train")
        table, _ = evaluate([*VIDEOS, training], detections(VIDEOS), detections(VIDEOS, DELTAS))
        assert (table["n_videos"] == 3).all()

    def test_detections_inside_the_ignore_regions_of_frame_a_do_not_count(self):
        region = np.array([[-50, 150], [400, 150], [400, 250], [-50, 250]], np.float32)
        crowd = detections([make_video(10)], score=0.95).assign(video=VIDEOS[0].name)  # at height 200
        single_frame = pd.concat([detections(VIDEOS), crowd])
        with_region, _ = evaluate([make_video(0, regions=[region]), *VIDEOS[1:]], single_frame)
        without, _ = evaluate(VIDEOS, single_frame)
        assert value(with_region, "single_frame", 0) == pytest.approx(100)
        assert value(without, "single_frame", 0) < 90

    def test_the_neck_is_the_midpoint_of_the_shoulders_when_so_configured(self):
        """Here head_bottom is 45 pixels from that midpoint, so only the neck of the head column is lost."""
        table, _ = evaluate(VIDEOS, neck="shoulders")
        assert value(table, "single_frame", 0, "head") == pytest.approx(200 / 3)
        assert value(table, "single_frame", 0, "shou") == pytest.approx(100)

    def test_a_person_without_labelled_joints_needs_no_head_box(self):
        nobody = person(0, 0, head_box=None, labelled=np.zeros(17, bool))
        videos = [make_video(0, lambda frame: (person(0, frame), nobody)), *VIDEOS[1:]]
        table, _ = evaluate(videos)
        assert value(table, "single_frame", 0) == pytest.approx(100)


class TestTables:
    def test_the_share_of_pairs_whose_frame_b_is_clamped(self):
        """Of six frames the last two have no frame two later; on the first labelled ones there is none two before."""
        table, _ = evaluate(VIDEOS)
        for delta, share in ((-2, 2 / 6), (0, 0), (2, 2 / 6)):
            for method in ("copy", "dimofs"):
                assert value(table, method, delta, column="clamped_fraction") == pytest.approx(share)
        assert value(table, "single_frame", 0, column="clamped_fraction") == 0

    def test_columns_and_rows(self):
        table, differences = evaluate(VIDEOS)
        columns = ["head", "shou", "elbo", "wri", "hip", "knee", "ank", "mean"]
        assert list(table.columns) == [
            "method", "delta", "joint", "ap", "ci_low", "ci_high", "n_frames", "n_videos",
            "clamped_fraction", "seeds", "sd",
        ]  # fmt: skip
        names = [
            "minuend",
            "minuend_delta",
            "subtrahend",
            "subtrahend_delta",
            "joint",
            "difference",
            "ci_low",
            "ci_high",
            "seeds",
            "sd",
        ]
        assert list(differences.columns) == names
        assert len(table) == 8 * (1 + 2 * len(DELTAS))
        pairs = differences.loc[differences["joint"] == "mean", names[:4]].to_numpy().tolist()
        assert pairs == [
            *([method, delta, "single_frame", 0] for delta in DELTAS for method in ("copy", "dimofs")),
            ["dimofs", -2, "dimofs", 0],
            ["dimofs", 2, "dimofs", 0],
            *(["dimofs", delta, "copy", delta] for delta in DELTAS),
        ]
        assert len(differences) == 8 * len(pairs)
        assert table["joint"].iloc[:8].tolist() == columns
        assert sorted(table.loc[table["method"] == "single_frame", "delta"].unique()) == [0]
        assert sorted(table.loc[table["method"] == "copy", "delta"].unique()) == list(DELTAS)

    def test_a_difference_is_paired(self):
        """The copy baseline at δ = 0 is the single-frame baseline, in every resample."""
        half = detections(VIDEOS).query("frame % 2 == 0 or video != @VIDEOS[0].name")
        table, differences = evaluate(VIDEOS, single_frame=half)
        same = differences.query("minuend == 'copy' and minuend_delta == 0")
        assert (same[["difference", "ci_low", "ci_high"]] == 0).all(axis=None)
        assert value(table, "single_frame", 0, column="ci_low") < value(table, "single_frame", 0, column="ci_high")

    def test_without_delta_0_nothing_is_compared_with_it(self):
        deltas = (-2, 2)
        _, differences = evaluate(VIDEOS, dimofs=detections(VIDEOS, deltas), pairs=make_pairs(VIDEOS, deltas))
        assert set(differences["subtrahend"]) == {"single_frame", "copy"}

    def test_differences_are_those_of_the_table(self):
        table, differences = evaluate(VIDEOS, dimofs=detections(VIDEOS, DELTAS).query("frame < 3"))
        rows = differences.query("minuend == 'dimofs' and minuend_delta == 2 and joint == 'knee'")
        for row, (method, delta) in zip(
            rows.itertuples(), (("single_frame", 0), ("dimofs", 0), ("copy", 2)), strict=True
        ):
            assert (row.subtrahend, row.subtrahend_delta) == (method, delta)
            expected = value(table, "dimofs", 2, "knee") - value(table, method, delta, "knee")
            assert row.difference == pytest.approx(expected)
            assert row.ci_low <= row.difference <= row.ci_high

    def test_intervals_hold_the_value_and_are_the_same_again(self):
        dimofs = detections(VIDEOS, DELTAS).query("frame < 3 or video == @VIDEOS[0].name")
        table, differences = evaluate(VIDEOS, dimofs=dimofs)
        assert (table["ci_low"] <= table["ap"] + 1e-9).all()
        assert (table["ap"] <= table["ci_high"] + 1e-9).all()
        for first, second in zip((table, differences), evaluate(VIDEOS, dimofs=dimofs), strict=True):
            pd.testing.assert_frame_equal(first, second)

    def test_the_order_of_videos_and_of_rows_does_not_count(self):
        random = np.random.default_rng(0)
        single, dimofs = (detections(VIDEOS, deltas) for deltas in ((0,), DELTAS))
        for table in (single, dimofs):
            table["score"] = random.permutation(len(table)) / len(table)
            table.loc[random.random(len(table)) < 0.3, "joints"] += 100
        first, _ = evaluate(VIDEOS, single, dimofs)
        pairs = make_pairs(VIDEOS).sample(frac=1, random_state=1)
        second, _ = evaluate(VIDEOS[::-1], *(t.sample(frac=1, random_state=1) for t in (single, dimofs)), pairs=pairs)
        pd.testing.assert_frame_equal(first, second)
        assert 20 < first["ap"].mean() < 80


class TestSeeds:
    half, whole = detections(VIDEOS).query("frame < 3"), detections(VIDEOS)

    def evaluate(self, single_frame, dimofs):
        return evaluate_pose(VIDEOS, make_pairs(VIDEOS, (0,)), single_frame, dimofs, "head_bottom", "joint", PAPER, 0)

    def test_values_are_the_mean_and_the_spread_over_seeds(self):
        table, _ = self.evaluate([self.half, self.whole], [self.whole, self.whole])
        single_frame, dimofs = (table.query("method == @method") for method in ("single_frame", "dimofs"))
        assert single_frame["ap"].tolist() == pytest.approx([75] * 8)
        assert single_frame["sd"].tolist() == pytest.approx([50 / 2**0.5] * 8)
        assert dimofs["ap"].tolist() == pytest.approx([100] * 8)
        assert (dimofs["sd"] == 0).all()
        assert (table["seeds"] == 2).all()

    def test_both_sides_of_a_difference_draw_the_same_seeds(self):
        """In every seed DiMoFs find what the single frame finds: however much seeds differ, there is no gain."""
        table, differences = self.evaluate([self.half, self.whole], [self.half, self.whole])
        assert (table["ci_high"] > table["ci_low"] + 40).all()
        assert (differences[["difference", "ci_low", "ci_high", "sd"]] == 0).all(axis=None)

    def test_equal_seeds_are_as_one(self):
        one, two = self.evaluate([self.half], [self.whole]), self.evaluate([self.half] * 2, [self.whole] * 2)
        for single, double in zip(one, two, strict=True):
            pd.testing.assert_frame_equal(double.assign(seeds=1, sd=np.nan), single)
            assert (double["sd"] == 0).all()

    def test_detections_of_every_seed_are_checked(self):
        with pytest.raises(DatasetError, match="single-frame detections: 000009_mpii_test, frame 0"):
            self.evaluate([self.half, detections([*VIDEOS, make_video(9)])], [self.whole] * 2)


class TestErrors:
    def test_a_person_without_head_box(self):
        videos = [make_video(0, lambda frame: (person(0, frame, head_box=None),))]
        with pytest.raises(DatasetError, match="000000_mpii_test, frame 0, track 7: no bbox_head"):
            evaluate(videos)

    def test_detections_of_another_data_set(self):
        with pytest.raises(DatasetError, match="single-frame detections: 000009_mpii_test, frame 0"):
            evaluate(VIDEOS, single_frame=detections([*VIDEOS, make_video(9)]))

    def test_detections_of_another_configuration(self):
        with pytest.raises(DatasetError, match=r"DiMoFs detections: .*δ = 7 is not among the validation pairs"):
            evaluate(VIDEOS, dimofs=detections(VIDEOS, (*DELTAS, 7)))

    def test_pairs_of_another_data_set(self):
        with pytest.raises(DatasetError, match="pairs: 000009_mpii_test, frame 0 is in no validation video"):
            evaluate(VIDEOS, pairs=make_pairs([*VIDEOS, make_video(9)]))

    def test_a_missing_column(self):
        with pytest.raises(DatasetError, match="single-frame detections: no column joints, score"):
            evaluate(VIDEOS, single_frame=detections(VIDEOS).drop(columns=["joints", "score"]))

    def test_nobody_annotated(self):
        videos = [make_video(v, lambda frame: ()) for v in range(2)]
        with pytest.raises(DatasetError, match="nothing to score"):
            evaluate(videos)
