import motmetrics
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dimofs.metrics import POSE_JOINTS, PoseRules, joint_distances, predicted_poses, true_poses
from dimofs.mot import COUNTS, TrackedFrame, count_events, tracking_metrics

HEAD = [0, 0, 30, 40]  # diagonal 50, head size 30, so joints match within 15 pixels
ALL_FRAMES = PoseRules(last_frame_dropped=False)


def joints(x):
    """17 joints in a column, 100 pixels apart, so that no joint is near another one."""
    return np.stack([np.full(17, float(x)), 100 * np.arange(17.0)], axis=-1)


def frame(true=(), predicted=(), labelled=None, present=None, anybody=True):
    """A frame of people (track, x) on both sides; `labelled` and `present` are over the 17 slots, (people, 17)."""
    exported = np.array([joints(x) for _, x in predicted]).reshape(-1, 17, 2)
    if present is not None:
        exported[~present] = np.nan
    labelled = np.ones((len(true), 17), bool) if labelled is None else labelled
    truth = true_poses([joints(x) for _, x in true], labelled, [HEAD] * len(true), ())
    found = predicted_poses(exported, np.ones((len(predicted), 17)), (), "head_bottom")
    return TrackedFrame(
        truth,
        np.array([track for track, _ in true], np.int64)[truth.source],
        found,
        np.array([track for track, _ in predicted], np.int64)[found.source],
        anybody,
    )


def counts(frames, rules=ALL_FRAMES):
    """The counts of each joint, which must be the same for all, as a dict."""
    found = count_events(frames, rules)
    np.testing.assert_allclose(found, np.tile(found[0], (15, 1)))
    return dict(zip(COUNTS, found[0], strict=True))


class TestEvents:
    def test_a_followed_person(self):
        found = counts([frame([(1, x)], [(7, x + 3)]) for x in (0, 50, 100)])
        assert found == pytest.approx({"objects": 3, "misses": 0, "switches": 0, "false_positives": 0, "distance": 0.3})

    def test_a_match_ends_beyond_half_a_head(self):
        assert counts([frame([(1, 0)], [(7, 15)])])["misses"] == 0
        found = counts([frame([(1, 0)], [(7, 15.01)])])
        assert (found["misses"], found["false_positives"]) == (1, 1)

    def test_another_identity_is_a_switch_each_time_it_changes(self):
        found = counts([frame([(1, 0)], [(track, 0)]) for track in (7, 8, 8, 7)])
        assert (found["switches"], found["misses"], found["false_positives"]) == (2, 0, 0)

    def test_a_switch_after_a_gap_counts_and_an_identity_kept_over_a_gap_does_not(self):
        away = frame([(1, 0)], [(7, 500)])
        assert counts([frame([(1, 0)], [(7, 0)]), away, frame([(1, 0)], [(7, 0)])])["switches"] == 0
        assert counts([frame([(1, 0)], [(7, 0)]), away, frame([(1, 0)], [(8, 0)])])["switches"] == 1

    def test_a_match_goes_on_though_another_prediction_is_nearer(self):
        found = counts([frame([(1, 0)], [(7, 0)]), frame([(1, 0)], [(8, 0), (7, 12)])])
        assert (found["switches"], found["false_positives"], found["distance"]) == (0, 1, pytest.approx(0.4))

    def test_two_people_whose_tracks_are_exchanged(self):
        found = counts([frame([(1, 0), (2, 50)], [(7, 0), (8, 50)]), frame([(1, 0), (2, 50)], [(8, 0), (7, 50)])])
        assert (found["objects"], found["switches"]) == (4, 2)

    def test_videos_add_and_give_ratios_of_sums(self):
        one = count_events([frame([(1, 0)], [(7, 15)])], ALL_FRAMES)
        other = count_events([frame([(1, 0)], [(7, 90)])] * 3, ALL_FRAMES)
        found = {name: value[0] for name, value in tracking_metrics(one + other).items()}
        # 4 objects, 3 missed, 3 false positives, one match half a head away
        assert found == pytest.approx({"mota": -50, "motp": 50, "precision": 25, "recall": 25})

    def test_joints_that_are_never_there_have_no_value(self):
        found = tracking_metrics(np.zeros((15, 5)))
        assert all(np.isnan(found[name]).all() for name in ("mota", "precision", "recall"))
        assert (found["motp"] == 0).all()


class TestQuirks:
    FRAMES = (frame([(1, 0)], [(7, 0)]), frame([(1, 0)], [(7, 0)]), frame([(1, 0)], [(8, 0)]))

    def test_the_last_counted_frame_is_dropped(self):
        official, all_frames = counts(self.FRAMES, PoseRules()), counts(self.FRAMES, ALL_FRAMES)
        assert (official["objects"], official["switches"]) == (2, 0)
        assert (all_frames["objects"], all_frames["switches"]) == (3, 1)

    def test_a_video_of_one_counted_frame_counts_nothing(self):
        assert not count_events(self.FRAMES[:1]).any()
        assert not count_events([]).any()

    def test_a_frame_without_detections_is_one_miss_and_one_false_positive_whatever_its_people(self):
        empty = frame([(1, 0), (2, 50), (3, 100)], labelled=np.tile(np.arange(17) == 0, (3, 1)))
        found = counts([empty])
        assert (found["objects"], found["misses"], found["false_positives"]) == (1, 1, 1)
        strict = count_events([empty], PoseRules(last_frame_dropped=False, dummy_pair=False))
        assert strict[0].tolist() == [3, 3, 0, 0, 0]
        assert not strict[1:].any()

    def test_a_frame_whose_people_are_all_ignored_is_the_same_pair(self):
        ignored = frame([], [(7, 0), (8, 50)], anybody=False)
        assert counts([ignored]) == {"objects": 1, "misses": 1, "switches": 0, "false_positives": 1, "distance": 0}
        strict = PoseRules(last_frame_dropped=False, dummy_pair=False)
        assert counts([ignored], strict) == dict(zip(COUNTS, (0, 0, 0, 2, 0), strict=True))

    def test_the_dummy_pair_breaks_no_track(self):
        """Its ids are those of track 0, which goes on after it."""
        frames = [frame([(0, 0)], [(0, 0)]), frame([(0, 0)]), frame([(0, 0)], [(0, 0)])]
        assert counts(frames)["switches"] == 0

    def test_a_joint_that_is_not_annotated_is_a_false_positive(self):
        one = np.tile(np.arange(17) == 0, (1, 1))
        found = count_events([frame([(1, 0)], [(7, 0)], labelled=one)], ALL_FRAMES)
        assert found[:, 0].tolist() == [1] + [0] * 14
        assert found[:, 3].tolist() == [0] + [1] * 14

    def test_a_joint_that_is_not_exported_is_a_miss_but_no_false_positive(self):
        one = np.tile(np.arange(17) == 0, (1, 1))
        found = count_events([frame([(1, 0)], [(7, 500)], present=one)], ALL_FRAMES)
        assert found[:, 1].tolist() == [1] * 15
        assert found[:, 3].tolist() == [1] + [0] * 14

    def test_motp_over_every_event_counts_a_match_twice(self):
        """The distance of a matched pair stands in the raw event and in the match."""
        frames = [frame([(1, 0)], [(7, 3)])]
        raw = PoseRules(last_frame_dropped=False, motp_over_every_event=True)
        assert tracking_metrics(count_events(frames, ALL_FRAMES))["motp"] == pytest.approx(90)
        assert tracking_metrics(count_events(frames, raw))["motp"] == pytest.approx(80)


def one_by_one(frames):
    """The counts by as many accumulators as there are joints, in motmetrics' own words."""
    result = np.zeros((15, 4))
    names = ["num_objects", "num_misses", "num_switches", "num_false_positives"]
    for joint in range(len(POSE_JOINTS)):
        accumulator = motmetrics.MOTAccumulator(auto_id=True)
        for one in frames:
            people = np.flatnonzero(one.truth.labelled[:, joint])
            found = np.flatnonzero(one.predicted.present[:, joint])
            distance = joint_distances(one.truth, one.predicted)[:, :, joint].T[np.ix_(people, found)]
            accumulator.update(one.true_track[people], one.predicted_track[found], distance)
        summary = motmetrics.metrics.create().compute(accumulator, metrics=names, return_dataframe=False)
        result[joint] = [summary[name] for name in names]
    return result


def people(sides):
    """Up to three people of different tracks, at places where many pairs match and many distances are equal."""
    return st.lists(
        st.tuples(sides, st.integers(0, 8).map(lambda x: 4.0 * x)), max_size=3, unique_by=lambda one: one[0]
    )


@settings(max_examples=40)  # each example is 15 accumulators and as many summaries
@given(st.lists(st.tuples(people(st.integers(0, 3)), people(st.integers(0, 3)), st.randoms()), max_size=5))
def test_all_joints_at_once_are_counted_as_one_by_one(drawn):
    frames = [
        frame(
            true,
            predicted,
            np.array([[chance.random() < 0.7 for _ in range(17)] for _ in true], bool).reshape(-1, 17),
            np.array([[chance.random() < 0.7 for _ in range(17)] for _ in predicted], bool).reshape(-1, 17),
        )
        for true, predicted, chance in drawn
    ]
    rules = PoseRules(last_frame_dropped=False, dummy_pair=False)
    np.testing.assert_array_equal(count_events(frames, rules)[:, :4], one_by_one(frames))


@given(st.lists(st.tuples(people(st.integers(0, 3)), people(st.integers(0, 3))), max_size=6))
def test_names_of_tracks_mean_nothing(drawn):
    renamed = [([(9000 - 7 * t, x) for t, x in true], [(t * 13 + 5, x) for t, x in found]) for true, found in drawn]
    np.testing.assert_array_equal(
        count_events([frame(*one) for one in drawn]), count_events([frame(*one) for one in renamed])
    )


@given(st.lists(st.tuples(people(st.integers(0, 3)), people(st.integers(0, 3))), max_size=6))
def test_what_the_counts_must_satisfy(drawn):
    found = dict(zip(COUNTS, count_events([frame(*one) for one in drawn], ALL_FRAMES).T, strict=True))
    metrics = tracking_metrics(np.stack(list(found.values()), axis=-1))
    assert (found["misses"] + found["switches"] <= found["objects"]).all()
    assert (found["distance"] <= 0.5 * (found["objects"] - found["misses"]) + 1e-9).all()
    for name in ("precision", "recall", "motp"):
        assert ((metrics[name] >= 0) & (metrics[name] <= 100) | np.isnan(metrics[name])).all()
    assert (np.isnan(metrics["mota"]) | (metrics["mota"] <= metrics["recall"])).all()
