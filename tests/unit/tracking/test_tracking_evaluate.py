import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dimofs.config import Paper, load_config
from dimofs.datasets.records import POSETRACK_JOINTS, DatasetError, Frame, Person, Video
from dimofs.metrics import POSE_COLUMNS, POSEVAL, PoseRules
from dimofs.tracking.evaluate import METRICS, evaluate_tracking
from dimofs.tracking.link import link

CONFIG = load_config(Path(__file__).parents[3] / "config/config.yaml").tracking
DETECT_AND_TRACK, KEYPOINTS = CONFIG.linkers.detect_and_track, CONFIG.linkers.keypoints
FILTERED, UNFILTERED = CONFIG.operating_points.filtered, CONFIG.operating_points.unfiltered

PAPER = Paper(resamples=50, confidence=0.95)
EARS = np.array(["ear" in name for name in POSETRACK_JOINTS])
POINTS, LINKERS = dict(CONFIG.operating_points), dict(CONFIG.linkers)
FRAMES = 9
COUNTED = (0, 3, 4, 5, 6)  # labelled every third frame, and the middle


def joints(frame, person):
    return np.stack([8.0 * np.arange(17) + frame, np.full(17, 60.0 * person)], axis=-1).astype(np.float32)


def person(frame, who, **changes):
    fields = {
        "track_id": who,
        "box": np.zeros(4, np.float32),
        "head_box": np.array([0, 0, 6, 8], np.float32),  # head size 6, so joints match within 3 pixels
        "joints": joints(frame, who),
        "labelled": ~EARS,
    }
    return Person(**(fields | changes))


def make_video(name, people=lambda frame: (person(frame, 0), person(frame, 1)), split="val", regions=()):
    frames = tuple(
        Frame(Path(f"{f}.jpg"), f in COUNTED, people(f) if f in COUNTED else (), regions) for f in range(FRAMES)
    )
    return Video(name, split, POSETRACK_JOINTS, frames, None)


VIDEOS = [make_video(name) for name in ("a", "b", "c")]


def detections(change=lambda row: row, videos=("a", "b", "c"), drop=lambda row: False):
    """The two people of every frame, found where they are."""
    rows = []
    for video in videos:
        for frame in range(FRAMES):
            for who in range(2):
                pose = joints(frame, who)
                box = np.array([*pose.min(axis=0), *(pose.max(axis=0) + 40)], np.float32)
                row = {"video": video, "frame": frame, "delta": 0, "score": 0.99, "box": box, "joints": pose}
                row = change(row | {"joint_scores": np.full(17, 4.0, np.float32), "who": who})
                if not drop(row):
                    rows.append(row | {"joints": row["joints"].ravel()})
    return pd.DataFrame(rows)


def linked(found, linkers=("detect_and_track",), points=("filtered",)):
    return pd.concat(
        [
            link(found, LINKERS[linker], POINTS[point]).assign(linker=linker, operating_point=point)
            for linker in linkers
            for point in points
        ],
        ignore_index=True,
    )


def evaluate(single_frame, dimofs=None, videos=VIDEOS, rules=POSEVAL, neck="head_bottom"):
    """Both tables, of the ways that were linked."""
    dimofs = single_frame if dimofs is None else dimofs
    ways = [*zip(single_frame["linker"], single_frame["operating_point"], strict=True)]
    return tuple(
        table[[way in ways for way in zip(table["linker"], table["operating_point"], strict=True)]]
        for table in evaluate_tracking(videos, [single_frame], [dimofs], POINTS, neck, "joint", PAPER, 0, rules)
    )


def value(table, metric, joint="mean", method="single_frame", linker="detect_and_track", point="filtered"):
    rows = table.query("metric == @metric and joint == @joint and linker == @linker and operating_point == @point")
    rows = rows[rows["method"] == method]
    assert len(rows) == 1
    return rows["value"].item()


def test_perfect_tracks():
    table, differences = evaluate(linked(detections()))
    np.testing.assert_allclose(table["value"], 100)
    assert (differences["difference"] == 0).all()
    assert (table["n_frames"] == 15).all()
    assert (table["n_videos"] == 3).all()


def test_rows_of_both_tables():
    both = linked(detections(), ("detect_and_track", "keypoints"), ("filtered", "unfiltered"))
    table, differences = evaluate(both)
    assert len(table) == 2 * 4 * len(METRICS) * 8
    assert len(differences) == 4 * (len(METRICS) + 1) * 8
    assert {*differences["metric"]} - {*table["metric"]} == {"mota_less_ap"}
    assert [*table.columns] == [
        "method", "linker", "operating_point", "metric", "joint", "value", "ci_low", "ci_high", "n_frames", "n_videos",
        "seeds", "sd",
    ]  # fmt: skip
    assert not table.duplicated(["method", "linker", "operating_point", "metric", "joint"]).any()
    assert [*dict.fromkeys(table["joint"])] == [*POSE_COLUMNS]
    assert set(differences["minuend"] + " - " + differences["subtrahend"]) == {"dimofs - single_frame"}


def test_only_counted_frames_are_judged():
    """Frames 1, 2, 7 and 8 are not labelled: what is found there, or not, changes nothing but the links."""

    def away(row):
        return row | {"joints": row["joints"] + 500.0} if row["frame"] in (1, 2, 7, 8) else row

    table, _ = evaluate(linked(detections(away)))
    assert value(table, "mota") == pytest.approx(100)


def test_unlabelled_frames_carry_the_links():
    """Without detections on frames 1 and 2 the tracks break between the counted frames 0 and 3: 2 switches of 8."""
    table, _ = evaluate(linked(detections(drop=lambda row: row["frame"] in (1, 2))))
    assert value(table, "mota") == pytest.approx(100 - 100 * 2 / 8)
    assert value(table, "ap") == pytest.approx(100)
    remembered = linked(detections(drop=lambda row: row["frame"] in (1, 2)), ("keypoints",))
    assert value(evaluate(remembered)[0], "mota", linker="keypoints") == pytest.approx(100)


def test_the_last_counted_frame_is_judged_for_ap_alone():
    found = linked(detections(drop=lambda row: row["frame"] == 6))
    table, _ = evaluate(found)
    assert value(table, "mota") == pytest.approx(100)
    assert value(table, "ap") == pytest.approx(80)
    all_frames, _ = evaluate(found, rules=PoseRules(last_frame_dropped=False))
    # the frame without detections is one more object, a miss and a false positive
    assert value(all_frames, "mota") == pytest.approx(100 * (1 - 2 / 9))


def test_a_gain_and_its_interval():
    worse = linked(detections(lambda row: row | {"joints": row["joints"] + 500.0 * (row["video"] == "a")}))
    table, differences = evaluate(worse, linked(detections()))
    # of 24 objects 8 are missed and as many false positives are there
    assert value(table, "mota") == pytest.approx(100 * (1 - 16 / 24))
    gain = differences.query("metric == 'mota' and joint == 'mean'").iloc[0]
    assert gain["difference"] == pytest.approx(100 * 16 / 24)
    assert gain["ci_low"] == pytest.approx(0)  # video a may be drawn never,
    assert gain["ci_high"] == pytest.approx(200)  # or always
    assert value(table, "precision") == value(table, "recall") == pytest.approx(100 * 16 / 24)


def test_the_gain_in_mota_less_that_in_ap():
    """DiMoFs find what the single frame misses in video c, at a score that the filter of the tracks does not take."""
    ways = ("detect_and_track",), ("filtered", "unfiltered")
    single_frame = linked(detections(drop=lambda row: row["video"] == "c"), *ways)
    dimofs = linked(detections(lambda row: row | {"score": 0.5 if row["video"] == "c" else 0.99}), *ways)
    table, differences = evaluate(single_frame, dimofs)
    assert value(table, "mota", method="dimofs") == value(table, "mota")  # filtered
    row = differences.query("metric == 'mota_less_ap' and joint == 'mean' and operating_point == 'filtered'").iloc[0]
    # AP rises from 2/3 to 1 by what the filter leaves out; resamples of a and b alone gain nothing
    assert row["difference"] == pytest.approx(-100 / 3)
    assert (row["ci_low"], row["ci_high"]) == (pytest.approx(-100), 0)
    unfiltered = differences.query("joint == 'mean' and operating_point == 'unfiltered'").set_index("metric")
    gain = unfiltered["difference"]
    assert gain["mota_less_ap"] == pytest.approx(gain["mota"] - gain["ap"])
    assert gain["mota"] > 0


def test_a_method_may_find_nobody_at_an_operating_point():
    """No detection of DiMoFs is as sure as the filter asks: every counted frame is a miss and a false positive."""
    unsure = linked(detections(lambda row: row | {"score": 0.5}), points=("filtered", "unfiltered"))
    assert {*unsure["operating_point"]} == {"unfiltered"}
    table, differences = evaluate(linked(detections(), points=("filtered", "unfiltered")), unsure)
    assert value(table, "mota", method="dimofs") == pytest.approx(-100)
    assert value(table, "ap", method="dimofs") == 0
    assert value(table, "mota", method="dimofs", point="unfiltered") == pytest.approx(100)
    gains = differences.query("joint == 'mean' and metric == 'mota'").set_index("operating_point")["difference"]
    assert gains["filtered"] == pytest.approx(-200)


def test_the_interval_is_of_ratios_of_sums():
    """Videos differ in their number of people: a resample's MOTA is not the mean of its videos' MOTA."""
    one = make_video("b", lambda frame: (person(frame, 0),))
    found = linked(detections(lambda row: row | {"joints": row["joints"] + 500.0 * (row["video"] == "a")}, "ab"))
    table, _ = evaluate(found[~((found["video"] == "b") & (found["track"] == 1))], videos=[VIDEOS[0], one])
    assert value(table, "recall") == pytest.approx(100 * 4 / 12)
    row = table.query("metric == 'recall' and joint == 'mean'").iloc[0]
    assert (row["ci_low"], row["ci_high"]) == (0, 100)


def test_operating_points():
    """Low people and low joints are left out where the tracks are filtered: fewer false positives, and misses."""

    def low(row):
        logits = np.where(np.arange(17) == POSETRACK_JOINTS.index("left_ankle"), 1.0, 4.0)
        return row | {"score": 0.99 if row["who"] else 0.5, "joint_scores": logits.astype(np.float32)}

    table, _ = evaluate(linked(detections(low), points=("filtered", "unfiltered")))
    assert value(table, "recall", "knee") == pytest.approx(50)
    assert value(table, "recall", "ank") == pytest.approx(25)
    assert value(table, "precision", "knee") == pytest.approx(100)
    assert value(table, "recall", "mean", point="unfiltered") == pytest.approx(100)


def test_the_neck_may_be_the_middle_of_the_shoulders():
    table, _ = evaluate(linked(detections()), neck="shoulders")
    assert value(table, "recall", "shou") == pytest.approx(100)
    assert value(table, "recall", "head") == pytest.approx(200 / 3)


def test_seeds():
    """Each seed of DiMoFs gains on its own single frame; intervals draw both sides of a seed together."""
    found = [linked(detections(drop=lambda row, first=first: row["frame"] < first)) for first in (0, 4)]
    tables = evaluate_tracking(VIDEOS, found, found, POINTS, "head_bottom", "joint", PAPER, 0)
    table, differences = (
        part.query("linker == 'detect_and_track' and operating_point == 'filtered'") for part in tables
    )
    row = table.query("method == 'dimofs' and metric == 'ap' and joint == 'mean'").iloc[0]
    # of the 5 counted frames 3 are there from frame 4 on
    assert row[["value", "seeds", "sd"]].tolist() == [pytest.approx(80), 2, pytest.approx(40 / 2**0.5)]
    assert (row["ci_low"], row["ci_high"]) == (pytest.approx(60), pytest.approx(100))
    gains = differences[["difference", "ci_low", "ci_high", "sd"]]
    assert (gains == 0).all(axis=None)


class TestRules:
    def test_ignore_regions(self):
        """Person 0 lies inside the region; ignored, its wrong detections cost nothing."""
        square = np.array([[-900, -30], [900, -30], [900, 30], [-900, 30]], np.float32)
        videos = [make_video("a", regions=(square,))]
        found = linked(detections(lambda row: row | {"joints": row["joints"] + 5.0 * (1 - row["who"])}, "a"))
        assert value(evaluate(found, videos=videos)[0], "mota") == pytest.approx(100)
        counted = evaluate(found, videos=videos, rules=PoseRules(ignore_regions=False))[0]
        assert value(counted, "mota") == pytest.approx(0)

    def test_joints_without_annotation(self):
        no_ankle = ~EARS & (np.arange(17) != POSETRACK_JOINTS.index("left_ankle"))
        videos = [make_video("a", lambda frame: (person(frame, 0, labelled=no_ankle), person(frame, 1)))]
        found = linked(detections(videos="a"))
        official = evaluate(found, videos=videos)[0]
        assert value(official, "precision", "ank") == pytest.approx((100 + 50) / 2)
        lenient = evaluate(found, videos=videos, rules=PoseRules(unannotated_joint_is_wrong=False))[0]
        assert value(lenient, "precision", "ank") == value(lenient, "ap", "ank") == pytest.approx(100)
        assert value(official, "ap", "ank") < 100

    def test_an_absent_joint(self):
        """No nose anywhere: AP 0 for it by poseval's rule, none otherwise; MOTA has none either way."""
        no_nose = ~EARS & (np.arange(17) != 0)
        videos = [make_video("a", lambda frame: (person(frame, 0, labelled=no_nose),))]
        logits = np.where(np.arange(17) == 0, 0.0, 4.0).astype(np.float32)
        found = linked(detections(lambda row: row | {"joint_scores": logits}, "a", lambda row: row["who"] == 1))
        table = evaluate(found, videos=videos)[0]
        assert value(table, "ap") == pytest.approx(100 * 14 / 15)
        assert value(table, "ap", "head") == pytest.approx(200 / 3)
        assert value(table, "mota") == pytest.approx(100)
        assert np.isnan(value(table, "mota", "head"))
        other = evaluate(found, videos=videos, rules=PoseRules(absent_joint_has_zero_ap=False))[0]
        assert value(other, "ap") == pytest.approx(100)
        row = other.query("metric == 'ap' and joint == 'mean'").iloc[0]
        assert (row["ci_low"], row["ci_high"]) == (100, 100)

    def test_the_mean_of_seven_columns(self):
        logits = np.where(np.arange(17) < 3, 0.0, 4.0).astype(np.float32)  # the head is not exported
        found = linked(detections(lambda row: row | {"joint_scores": logits}))
        assert value(evaluate(found)[0], "recall") == pytest.approx(100 * 12 / 15)
        columns = evaluate(found, rules=PoseRules(mean_over_joints=False))[0]
        assert value(columns, "recall") == pytest.approx(100 * 6 / 7)

    def test_a_frame_without_detections(self):
        found = linked(detections(drop=lambda row: row["frame"] == 4))
        table = evaluate(found, rules=PoseRules(dummy_pair=False))[0]
        assert value(table, "recall") == pytest.approx(75)
        assert value(table, "precision") == pytest.approx(100)
        official = evaluate(found)[0]
        assert value(official, "recall") == value(official, "precision") == pytest.approx(100 * 6 / 7)

    def test_a_frame_whose_people_have_no_joints(self):
        """It counts: what is found there is wrong (PoseTrack18), or a dummy pair takes its place (PoseTrack17)."""
        nobody = {"box": np.full(4, np.nan, np.float32), "head_box": None, "labelled": np.zeros(17, bool)}
        videos = [
            make_video("a", lambda frame: [person(frame, who, **(nobody if frame == 4 else {})) for who in (0, 1)])
        ]
        found = linked(detections(videos="a"))
        table = evaluate(found, videos=videos)[0]
        assert (table["n_frames"] == 5).all()
        assert value(table, "mota") == pytest.approx(100 * (1 - 2 / 6))
        # all scores are equal and the frame's two wrong detections come after those of two frames
        assert value(table, "ap") == pytest.approx(100 * (4 / 8 + 4 / 8 * 8 / 10))
        of_2017 = evaluate(found, videos=videos, rules=PoseRules(people_without_joints_stay=False))[0]
        assert value(of_2017, "mota") == pytest.approx(100 * (1 - 2 / 7))
        assert value(of_2017, "ap") == value(table, "ap")


class TestErrors:
    def test_tracks_of_another_data_set(self):
        with pytest.raises(DatasetError, match="dimofs tracks: d, frame 0 is in no validation video"):
            evaluate(linked(detections()), linked(detections(videos="d")))

    def test_a_track_twice_in_a_frame(self):
        with pytest.raises(DatasetError, match="tracks: a, frame 0: track 0 occurs twice"):
            evaluate(linked(detections()).assign(track=0))

    def test_an_unknown_way_of_linking(self):
        with pytest.raises(DatasetError, match="unknown linker or operating point: detect_and_track, best; link again"):
            evaluate(linked(detections()).assign(operating_point="best"))
        with pytest.raises(DatasetError, match="unknown linker or operating point: greedy, filtered; link again"):
            evaluate(linked(detections()).assign(linker="greedy"))

    def test_missing_columns(self):
        with pytest.raises(DatasetError, match="no column track; link again"):
            evaluate(linked(detections()).drop(columns="track"))

    def test_nothing_to_judge(self):
        with pytest.raises(DatasetError, match="nothing to judge"):
            evaluate(linked(detections()), videos=[dataclasses.replace(VIDEOS[0], split="train")])


def test_joints_are_ranked_by_their_own_score_or_their_persons():
    """Person 1 is nowhere near, with the better box and the worse joints; half of all joints can be found."""

    def change(row):
        doubted = {"score": 0.999, "joint_scores": np.full(17, 2.0, np.float32), "joints": row["joints"] + 500.0}
        return row | (doubted if row["who"] else {"score": 0.96})

    found, areas = linked(detections(change)), {}
    for ranked_by in ("joint", "person"):
        table, _ = evaluate_tracking(VIDEOS, [found], [found], POINTS, "head_bottom", ranked_by, PAPER, 0)
        areas[ranked_by] = value(table, "ap")
    assert areas == pytest.approx({"joint": 50, "person": 25})


def test_a_labelled_frame_without_people_does_not_count():
    """As in poseval: what is found there is neither right nor wrong."""
    videos = [make_video("a", lambda frame: () if frame == 4 else (person(frame, 0), person(frame, 1)))]
    table, _ = evaluate(linked(detections(videos="a")), videos=videos)
    assert (table["n_frames"] == 4).all()
    for metric in ("ap", "mota", "precision"):
        assert value(table, metric) == pytest.approx(100)


def test_who_does_not_count_leaves_others_their_own_tracks():
    """Person 0 is inside the ignore region in frame 3 alone; person 1 stays who they are."""
    square = np.array([[-900, -30], [900, -30], [900, 30], [-900, 30]], np.float32)
    (video,) = (make_video("a"),)
    frames = [dataclasses.replace(f, ignore_regions=(square,) if i == 3 else ()) for i, f in enumerate(video.frames)]
    table, _ = evaluate(linked(detections(videos="a")), videos=[dataclasses.replace(video, frames=tuple(frames))])
    assert value(table, "mota") == pytest.approx(100)
