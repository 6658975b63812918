from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dimofs.config import Linker, OperatingPoint, load_config
from dimofs.datasets.records import DatasetError
from dimofs.tracking.link import Tracker, exported_joints, link, oks

CONFIG = load_config(Path(__file__).parents[3] / "config/config.yaml").tracking
DETECT_AND_TRACK, KEYPOINTS = CONFIG.linkers.detect_and_track, CONFIG.linkers.keypoints
FILTERED, UNFILTERED = CONFIG.operating_points.filtered, CONFIG.operating_points.unfiltered

LINKERS = (DETECT_AND_TRACK, KEYPOINTS)
POSE = np.random.default_rng(0).uniform((0, 0), (20, 40), (17, 2))


def row(frame, x, y=0.0, score=1.0, video="a", delta=0, size=(20.0, 40.0)):
    """A person whose box starts at (x, y)."""
    box = np.array([x, y, x + size[0], y + size[1]], np.float32)
    joints = (POSE + np.array([x, y])).astype(np.float32).ravel()
    return video, frame, delta, score, box, joints, np.full(17, 4.0, np.float32)


def table(*rows):
    return pd.DataFrame(rows, columns=["video", "frame", "delta", "score", "box", "joints", "joint_scores"])


def tracks(detections, linker, point=UNFILTERED):
    """The tracks in the order (video, frame, x)."""
    found = link(detections, linker, point)
    x = [box[0] for box in found["box"]]
    return found.assign(x=x).sort_values(["video", "frame", "x"])["track"].tolist()


class TestThresholds:
    def test_of_score_and_area_are_inclusive(self):
        people = table(
            row(0, 0, score=0.95), row(0, 100, score=0.9499), row(0, 200, size=(5, 10)), row(0, 300, size=(5, 9))
        )
        kept = link(people, DETECT_AND_TRACK, FILTERED)
        assert [box[0] for box in kept["box"]] == [0, 200]
        assert len(link(people, DETECT_AND_TRACK, UNFILTERED)) == 4

    def test_only_detections_from_the_frame_itself_are_linked(self):
        assert len(link(table(row(0, 0), row(0, 0, delta=1), row(0, 0, delta=-1)), KEYPOINTS, UNFILTERED)) == 1

    def test_all_columns_are_kept_and_none_of_the_detections_changes(self):
        people = table(row(3, 5), row(1, 0), row(2, 3))
        found = link(people, DETECT_AND_TRACK, UNFILTERED)
        assert [*found.columns] == [*people.columns, "track"]
        assert found["track"].dtype == np.int32
        pd.testing.assert_frame_equal(found.drop(columns="track"), people.sort_values("frame", ignore_index=True))

    @pytest.mark.parametrize("linker", LINKERS)
    def test_nothing_at_all(self, linker):
        assert link(table(), linker, UNFILTERED)["track"].tolist() == []

    def test_a_missing_column_is_named(self):
        with pytest.raises(DatasetError, match="no column box; predict again"):
            link(table(row(0, 0)).drop(columns="box"), KEYPOINTS, UNFILTERED)


class TestDetectAndTrack:
    def test_people_are_followed_by_their_overlap(self):
        people = table(*[row(f, 2 * f) for f in range(5)], *[row(f, 100 - 2 * f) for f in range(5)])
        assert tracks(people, DETECT_AND_TRACK) == [0, 1] * 5

    def test_the_total_cost_decides_not_the_order(self):
        """Greedily 8 would take 10's place, from which it is 2 away; together it is dearer."""
        people = table(row(0, 10), row(0, 0), row(1, 8), row(1, 16))
        assert tracks(people, DETECT_AND_TRACK) == [1, 0, 1, 0]

    def test_every_assigned_pair_links_however_far(self):
        assert tracks(table(row(0, 0), row(1, 500)), DETECT_AND_TRACK) == [0, 0]

    def test_the_gate_is_an_option(self):
        gated = Linker(cost="iou", memory=1, max_cost=0.99)
        assert tracks(table(row(0, 0), row(1, 500)), gated) == [0, 1]
        assert tracks(table(row(0, 0), row(1, 5)), gated) == [0, 0]

    def test_a_gate_does_not_force_a_dear_pair_to_save_a_cheap_one(self):
        gated = Linker(cost="iou", memory=1, max_cost=0.5)
        assert tracks(table(row(0, 0), row(0, 18), row(1, 0)), gated) == [0, 1, 0]

    def test_one_missed_frame_breaks_a_track(self):
        assert tracks(table(row(0, 0), row(2, 0)), DETECT_AND_TRACK) == [0, 1]

    def test_a_new_person_opens_a_track(self):
        assert tracks(table(row(0, 0), row(1, 0), row(1, 200), row(2, 0), row(2, 200)), DETECT_AND_TRACK) == [
            0,
            0,
            1,
            0,
            1,
        ]

    def test_videos_know_nothing_of_each_other(self):
        people = table(row(0, 0), row(1, 0, video="b"), row(2, 0, video="b"), row(1, 0))
        assert tracks(people, DETECT_AND_TRACK) == [0, 0, 0, 0]


class TestKeypoints:
    def test_a_person_missed_for_a_few_frames_is_found_again(self):
        assert tracks(table(row(0, 0), row(5, 3)), KEYPOINTS) == [0, 0]
        assert tracks(table(row(0, 0), row(6, 0)), KEYPOINTS) == [0, 1]

    def test_somebody_far_away_is_somebody_else(self):
        assert tracks(table(row(0, 0), row(1, 500)), KEYPOINTS) == [0, 1]

    def test_a_crossing_where_boxes_swap_and_poses_do_not(self):
        """Two people change places between frames as boxes see it, since each stretches an arm; poses do not move."""
        first, second = row(0, 0), row(0, 12)
        stretched = np.array([12.0, 0.0, 32.0, 40.0], np.float32), np.array([0.0, 0.0, 20.0, 40.0], np.float32)
        after = [(*one[:1], 1, *one[2:4], box, *one[5:]) for one, box in zip((first, second), stretched, strict=True)]
        people = table(first, second, *after)
        by_row = {linker: link(people, linker, UNFILTERED)["track"].tolist() for linker in LINKERS}
        assert by_row == {DETECT_AND_TRACK: [0, 1, 1, 0], KEYPOINTS: [0, 1, 0, 1]}

    def test_a_person_hidden_while_crossing(self):
        """One of two people who cross is hidden for two frames: only the linker with a memory knows them again."""
        ahead = [row(f, 2 * f) for f in range(8)]
        behind = [row(f, 14 - 2 * f, y=15) for f in range(8) if f not in (3, 4)]
        people = table(*ahead, *behind)
        assert link(people, KEYPOINTS, UNFILTERED)["track"].nunique() == 2
        assert link(people, DETECT_AND_TRACK, UNFILTERED)["track"].nunique() == 3


class TestOks:
    def test_of_a_pose_with_itself(self):
        assert oks(POSE[None], POSE[None], np.array([[800.0]])) == pytest.approx(1)

    def test_by_hand(self):
        """All joints but the nose are far away; the nose is d = spread · √area off, where the exponent is −1/2."""
        moved = POSE + 1e6
        moved[0] = POSE[0] + [2 * 0.026 * np.sqrt(800.0), 0]
        assert oks(POSE[None], moved[None], np.array([[800.0]])) == pytest.approx(np.exp(-0.5) / 15)

    def test_the_ears_play_no_part(self):
        moved = POSE.copy()
        moved[3:5] += 100
        assert oks(POSE[None], moved[None], np.array([[800.0]])) == pytest.approx(1)


class TestExportedJoints:
    JOINTS, LOGITS = POSE[None], np.arange(17.0)[None]

    def test_low_joints_are_not_exported(self):
        found = exported_joints(self.JOINTS, self.LOGITS, 5.0, "head_bottom")
        assert np.isnan(found[0, :5]).all()
        np.testing.assert_array_equal(found[0, 5:], POSE[5:])

    def test_without_a_threshold_all_are(self):
        np.testing.assert_array_equal(exported_joints(self.JOINTS, self.LOGITS, None, "head_bottom"), self.JOINTS)

    @pytest.mark.parametrize(("threshold", "neck", "right_shoulder"), [(5.4, True, True), (5.6, False, True)])
    def test_the_neck_is_the_shoulders_middle_and_so_is_its_logit(self, threshold, neck, right_shoulder):
        found = exported_joints(self.JOINTS, self.LOGITS, threshold, "shoulders")[0]  # shoulders have 5 and 6
        assert np.isnan(found[5]).all()
        assert np.isnan(found[6]).any() != right_shoulder
        assert np.isnan(found[1]).any() != neck
        if neck:
            np.testing.assert_allclose(found[1], POSE[5:7].mean(axis=0))


places = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 60), st.floats(0, 1)), max_size=14)


@pytest.mark.parametrize("linker", LINKERS)
@given(places)
def test_a_track_is_one_person_a_frame_and_tracks_have_no_holes(linker, drawn):
    found = link(
        table(*[row(f, x, score=s) for f, x, s in drawn]), linker, OperatingPoint(score=0.3, area=0.0, joint_score=None)
    )
    assert not found.duplicated(["frame", "track"]).any()
    assert sorted(found["track"].unique()) == list(range(found["track"].nunique()))
    assert len(found) == sum(np.float64(s) >= 0.3 for *_, s in drawn)
    seen = found.groupby("track")["frame"].agg(lambda frames: np.diff(sorted(frames)).max(initial=0))
    assert (seen <= linker.memory).all()


@pytest.mark.parametrize("linker", LINKERS)
@given(places, st.integers(1, 50))
def test_links_depend_on_places_relative_to_each_other(linker, drawn, shift):
    here = link(table(*[row(f, x) for f, x, _ in drawn]), linker, UNFILTERED)["track"].tolist()
    there = link(table(*[row(f + shift, x, y=64) for f, x, _ in drawn]), linker, UNFILTERED)["track"].tolist()
    assert here == there


@pytest.mark.parametrize("linker", LINKERS)
def test_a_tracker_that_is_told_of_the_frames_before_goes_on_as_if_it_had_linked_them(linker):
    rng = np.random.default_rng(1)
    frames = [rng.uniform(0, 60, (rng.integers(0, 5), 2)) for _ in range(40)]
    boxes = [np.concatenate([corner, corner + np.array([20, 40])], axis=1) for corner in frames]
    poses = [POSE + corner[:, None] for corner in frames]
    whole = Tracker(linker)
    tracks = [whole.assign(frame, boxes[frame], poses[frame]) for frame in range(40)]
    told = Tracker(linker)
    for frame in range(25):
        told.remember(frame, tracks[frame], boxes[frame], poses[frame])
    for frame in range(25, 40):
        assert told.assign(frame, boxes[frame], poses[frame]).tolist() == tracks[frame].tolist()
    assert told.started == whole.started == 1 + max(track.max() for track in tracks if len(track))


def test_two_links_are_made_rather_than_one_that_is_cheaper():
    """Alone, 0 → 0 costs nothing, but then −9 → 9 is beyond the gate; the other way both link."""
    gated = Linker(cost="iou", memory=1, max_cost=0.9)
    assert tracks(table(row(0, 0), row(0, -9), row(1, 0), row(1, 9)), gated) == [1, 0, 1, 0]


def test_the_area_of_both_boxes_counts_in_oks():
    """The second box is nine times as large, which forgives what the first alone would not."""
    gated = Linker(cost="oks", memory=1, max_cost=0.5)
    small, large = row(0, 0), row(1, 6)
    assert tracks(table(small, large), gated) == [0, 1]
    wide = (*large[:4], np.array([6, 0, 66, 120], np.float32), *large[5:])
    assert tracks(table(small, wide), gated) == [0, 0]


def test_a_pair_at_the_gate_links():
    gated = Linker(cost="iou", memory=1, max_cost=0.5)
    assert tracks(table(row(0, 0, size=(30, 40)), row(1, 10, size=(30, 40))), gated) == [0, 0]  # 20 of 40 shared
