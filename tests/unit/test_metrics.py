import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.path import Path as Polygon

from dimofs.datasets.records import POSETRACK_JOINTS
from dimofs.metrics import (
    POSE_COLUMNS,
    POSE_JOINTS,
    FrameMapRules,
    PoseRules,
    box_iou,
    class_ap,
    count_recognised,
    envelope_ap,
    exported_scores,
    joint_distances,
    match_boxes,
    match_poses,
    mean_of_defined,
    pose_columns,
    predicted_poses,
    rank,
    rank_joints,
    strictly_inside,
    top1,
    trapezoid_ap,
    true_poses,
    without_unannotated_joints,
)

SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]])
HEAD = [0, 0, 30, 40]  # diagonal 50, head size 30, so joints are found within 15 pixels


def person(x=0.0, y=0.0):
    """17 joints on a line, 100 pixels apart, so that no joint is near another."""
    return np.stack([x + 100 * np.arange(17.0), np.full(17, y)], axis=-1)


def annotated(*joints, labelled=None, regions=()):
    labelled = np.ones((len(joints), 17), bool) if labelled is None else labelled
    return true_poses(np.array(joints), labelled, [HEAD] * len(joints), regions)


def predicted(*joints, scores=None, regions=()):
    own = np.repeat(np.array(scores or [0.5] * len(joints))[:, None], 17, axis=1)
    return predicted_poses(np.array(joints), own, regions, "head_bottom")


def only(*slots):
    labelled = np.zeros(17, bool)
    labelled[list(slots)] = True
    return labelled


class TestStrictlyInside:
    def test_the_border_is_outside(self):
        points = [[5, 5], [0, 5], [5, 0], [10, 5], [5, 10], [0, 0], [10, 10], [11, 5], [-1, -1]]
        assert strictly_inside(points, SQUARE).tolist() == [True] + [False] * 8

    def test_a_slanted_border_is_outside(self):
        assert strictly_inside([[1, 2], [2, 4], [2, 3.9]], [[0, 0], [4, 8], [8, 0]]).tolist() == [False, False, True]

    def test_a_notch_is_outside_and_the_direction_of_the_polygon_does_not_matter(self):
        notched = np.array([[0, 0], [10, 0], [10, 10], [5, 2], [0, 10]])
        for polygon in (notched, notched[::-1]):
            assert strictly_inside([[5, 5], [5, 1], [1, 5], [9, 5]], polygon).tolist() == [False, True, True, True]

    def test_a_line_or_nothing_holds_no_point(self):
        assert not strictly_inside([[5, 0], [5, 1]], [[0, 0], [10, 0]]).any()
        assert not strictly_inside([[5, 0]], np.zeros((0, 2))).any()

    def test_agrees_with_another_implementation_on_random_polygons(self):
        random = np.random.default_rng(0)
        for corners in range(3, 30):
            polygon, points = random.uniform(0, 10, (corners, 2)), random.uniform(0, 10, (200, 2))
            closed = Polygon(np.concatenate([polygon, polygon[:1]]), closed=True)
            np.testing.assert_array_equal(strictly_inside(points, polygon), closed.contains_points(points))


class TestPreparation:
    def test_the_fifteen_joints_are_posetracks_slots_without_ears(self):
        names = [name for name in POSETRACK_JOINTS if "ear" not in name]
        assert [name.replace("head_bottom", "neck") for name in names] == list(POSE_JOINTS)
        numbered = annotated(np.stack([np.arange(17.0), np.zeros(17)], axis=-1))
        assert numbered.joints[0, :, 0].tolist() == [POSETRACK_JOINTS.index(name) for name in names]

    def test_every_column_of_table_1_averages_the_joints_of_its_name(self):
        stems = {
            "head": ["nose", "neck", "head_top"],
            "shou": "shoulder",
            "elbo": "elbow",
            "wri": "wrist",
            "hip": "hip",
            "knee": "knee",
            "ank": "ankle",
        }
        for column, stem in stems.items():
            wanted = stem if isinstance(stem, list) else [f"left_{stem}", f"right_{stem}"]
            assert [POSE_JOINTS[j] for j in POSE_COLUMNS[column]] == wanted
        assert POSE_COLUMNS["mean"] == tuple(range(15))

    def test_head_size_is_six_tenths_of_the_diagonal(self):
        assert annotated(person()).head_size.tolist() == [30]

    def test_joints_in_an_ignore_region_are_removed_on_both_sides(self):
        around_the_nose = [[[-5, -5], [5, -5], [5, 5], [-5, 5]]]
        assert annotated(person(), regions=around_the_nose).labelled[0].tolist() == [False] + [True] * 14
        assert predicted(person(), regions=around_the_nose).present[0].tolist() == [False] + [True] * 14

    def test_a_person_left_without_joints_is_removed(self):
        everywhere = [[[-9, -9], [2000, -9], [2000, 9], [-9, 9]]]
        assert len(annotated(person(), person(y=50), regions=everywhere).joints) == 1
        left = predicted(person(), person(y=50), scores=[0.9, 0.3], regions=everywhere)
        assert left.score.tolist() == [[0.3] * 15]

    def test_a_person_with_labelled_ears_alone_is_removed(self):
        assert len(annotated(person(), labelled=only(3, 4)[None]).joints) == 0

    def test_the_exported_neck_is_the_midpoint_of_the_shoulders_or_the_predicted_one(self):
        joints = person()
        joints[5], joints[6] = (10, 20), (30, 60)
        neck = POSE_JOINTS.index("neck")
        assert predicted_poses([joints], np.ones(17), [], "shoulders").joints[0, neck].tolist() == [20, 40]
        assert predicted_poses([joints], np.ones(17), [], "head_bottom").joints[0, neck].tolist() == joints[1].tolist()

    def test_input_is_not_changed(self):
        joints = person()[None]
        before = joints.copy()
        predicted_poses(joints, np.ones(17), [], "shoulders")
        np.testing.assert_array_equal(joints, before)


class TestExportedScores:
    def test_a_joint_has_its_own_score_or_that_of_its_person(self):
        logits = np.zeros((2, 17))
        logits[1, 7] = np.log(3)
        own = exported_scores([0.8, 0.4], logits, "joint", "head_bottom")
        assert own[0].tolist() == [0.4] * 17
        assert own[1, 7] == pytest.approx(0.3)
        np.testing.assert_allclose(np.delete(own[1], 7), 0.2)
        assert exported_scores([0.8, 0.4], logits, "person", "shoulders").tolist() == [[0.8] * 17, [0.4] * 17]

    def test_the_neck_between_the_shoulders_has_the_mean_of_their_logits(self):
        logits = np.full((1, 17), -9.0)
        logits[0, 5:7] = 1, 3
        assert exported_scores([1], logits, "joint", "shoulders")[0, 1] == pytest.approx(1 / (1 + np.exp(-2)))
        assert exported_scores([1], logits, "joint", "head_bottom")[0, 1] == pytest.approx(1 / (1 + np.exp(9)))
        assert logits[0, 1] == -9

    def test_a_hidden_joint_that_is_doubted_costs_less_than_one_that_is_believed(self):
        """Two people; the first one's ankle has no annotation, so that predicting it is wrong."""
        ankle, slot = POSE_JOINTS.index("right_ankle"), 16
        truth = annotated(person(), person(y=999), labelled=np.stack([~only(slot), np.ones(17, bool)]))
        found = np.stack([person(), person(y=999)])
        logits = np.zeros((2, 17))
        areas = []
        for doubt in (-1, 1):
            logits[0, slot] = doubt
            scores = exported_scores([0.6, 0.5], logits, "joint", "head_bottom")
            ranking = rank_joints([(0, truth, predicted_poses(found, scores, [], "head_bottom"))], 1)[ankle]
            areas.append(envelope_ap(ranking))
        assert areas == pytest.approx([100, 50])


class TestMatchPoses:
    def test_a_joint_at_exactly_half_the_head_size_is_found_and_one_beyond_is_not(self):
        moved = person()
        moved[0] += (9, 12)  # 15 pixels
        moved[2] += (9, 12.01)
        assert match_poses(annotated(person()), predicted(moved))[0].tolist() == [True, True, False] + [True] * 12

    def test_a_predicted_joint_without_annotation_is_wrong(self):
        correct = match_poses(annotated(person(), labelled=~only(0)[None]), predicted(person()))
        assert correct[0].tolist() == [False] + [True] * 14

    def test_of_two_predictions_the_one_that_finds_more_wins_and_the_other_is_wrong_altogether(self):
        worse = person()
        worse[2] += 100
        correct = match_poses(annotated(person()), predicted(worse, person()))
        assert not correct[0].any()
        assert correct[1].all()

    def test_on_a_tie_the_first_prediction_wins_whatever_its_score(self):
        correct = match_poses(annotated(person()), predicted(person(), person(), scores=[0.1, 0.9]))
        assert correct.all(axis=1).tolist() == [True, False]

    def test_on_a_tie_the_first_person_is_taken(self):
        correct = match_poses(annotated(person(), person()), predicted(person()))
        assert correct.all()

    def test_the_fraction_of_annotated_joints_decides_and_not_their_number(self):
        crowd, child = person(), person(y=40)
        detection = person(y=40)
        detection[[0, 1, 2], 1] = 0  # finds 3 of 15 joints of the first person
        labelled = np.stack([np.ones(17, bool), only(0, 5)])  # and 1 of 2 of the second
        correct = match_poses(annotated(crowd, child, labelled=labelled), predicted(detection))
        assert np.flatnonzero(correct[0]).tolist() == [POSE_JOINTS.index("left_shoulder")]

    def test_a_prediction_that_loses_its_favourite_gets_no_second_choice(self):
        first, second = person(), person(y=40)
        loser = person()
        loser[[15, 16], 1] = 40  # 13 of 15 joints of the first, 2 of the second
        correct = match_poses(annotated(first, second), predicted(first, loser))
        assert correct.all(axis=1).tolist() == [True, False]
        assert not correct[1].any()

    def test_nothing_found_pairs_nobody(self):
        assert not match_poses(annotated(person()), predicted(person(y=99))).any()

    def test_empty_sides(self):
        nobody = predicted_poses(np.zeros((0, 17, 2)), [], [], "shoulders")
        assert match_poses(annotated(person()), nobody).shape == (0, 15)
        assert not match_poses(annotated(person(), labelled=only()[None]), predicted(person())).any()


class TestRanking:
    def test_frames_are_pooled_by_score_and_counted_by_video(self):
        frames = [
            (0, annotated(person()), predicted(person(), person(y=99), scores=[0.4, 0.9])),
            (1, annotated(person(), labelled=~only(0)[None]), predicted(person(), scores=[0.6])),
        ]
        nose, *_, ankle = rank_joints(frames, 3)
        assert nose.correct.tolist() == [False, False, True]
        assert nose.video.tolist() == [0, 1, 0]
        assert nose.positives.tolist() == [1, 0, 0]
        assert ankle.correct.tolist() == [False, True, True]
        assert ankle.positives.tolist() == [1, 1, 0]

    def test_an_ignored_predicted_joint_is_not_ranked(self):
        region = [[[-5, -5], [5, -5], [5, 5], [-5, 5]]]
        nose, neck, *_ = rank_joints([(0, annotated(person()), predicted(person(), regions=region))], 1)
        assert (len(nose.correct), len(neck.correct)) == (0, 1)

    def test_a_frame_whose_people_are_all_ignored_keeps_its_false_positives(self):
        everywhere = [[[-9, -9], [2000, -9], [2000, 9], [-9, 9]]]
        nose = rank_joints([(0, annotated(person(), regions=everywhere), predicted(person(y=50)))], 1)[0]
        assert nose.correct.tolist() == [False]
        assert nose.positives.tolist() == [0]

    def test_no_frames(self):
        assert [len(ranking.correct) for ranking in rank_joints([], 2)] == [0] * 15

    def test_equal_scores_keep_their_order(self):
        scores = np.repeat([0.5, 0.9], 300)
        ranking = rank(scores, np.arange(600) % 2 == 0, np.arange(600), np.ones(600))
        assert ranking.video.tolist() == [*range(300, 600), *range(300)]
        assert ranking.correct.tolist() == [True, False] * 300


class TestAveragePrecision:
    # precision along the ranking: 1, 1/2, 2/3, 3/4, 3/5
    ranking = rank([5, 4, 3, 2, 1], [True, False, True, True, False], [0] * 5, [4])

    def test_envelope_by_hand(self):
        assert envelope_ap(self.ranking) == pytest.approx(100 * (1 + 3 / 4 + 3 / 4) / 4)

    def test_trapezoid_by_hand(self):
        steps = (1 + 1) / 2 + (1 / 2 + 2 / 3) / 2 + (2 / 3 + 3 / 4) / 2
        assert trapezoid_ap(self.ranking) == pytest.approx(100 * steps / 4)

    def test_the_curves_start_differs_when_the_first_detection_is_wrong(self):
        ranking = rank([2, 1], [False, True], [0, 0], [1])
        assert envelope_ap(ranking) == 50
        assert trapezoid_ap(ranking) == 25  # between precision 0 at recall 0 and 1/2 at recall 1

    def test_a_joint_neither_annotated_nor_predicted_has_ap_zero(self):
        assert envelope_ap(rank([], [], [], [0])) == 0

    def test_a_joint_predicted_but_annotated_nowhere_has_none(self):
        assert np.isnan(envelope_ap(rank([1], [False], [0], [0])))

    def test_a_joint_annotated_but_never_predicted_has_ap_zero(self):
        assert envelope_ap(rank([], [], [], [3])) == 0
        assert trapezoid_ap(rank([], [], [], [3])) == 0

    def test_a_class_without_annotations_has_none(self):
        assert np.isnan(trapezoid_ap(rank([], [], [], [0])))

    def test_perfect_predictions_of_people_who_all_lack_a_nose(self):
        """The published corner case: the nose counts as 0 when nobody predicts it either, mean 14/15."""
        truth = annotated(person(), labelled=~only(0)[None])
        around_the_nose = [[[-5, -5], [5, -5], [5, 5], [-5, 5]]]
        rankings = rank_joints([(0, truth, predicted(person(), regions=around_the_nose))], 1)
        columns = pose_columns(np.array([envelope_ap(ranking) for ranking in rankings]))
        assert columns.tolist() == pytest.approx([200 / 3, 100, 100, 100, 100, 100, 100, 1400 / 15])

    def test_an_undefined_joint_leaves_the_mean_but_not_its_own_column(self):
        joints = np.arange(15.0)
        joints[0] = np.nan
        columns = pose_columns(joints)
        assert np.isnan(columns[0])
        assert columns[1:].tolist() == [3.5, 5.5, 7.5, 9.5, 11.5, 13.5, 7.5]

    def test_the_mean_of_nothing_is_undefined(self):
        np.testing.assert_array_equal(mean_of_defined(np.array([[np.nan, np.nan], [1, np.nan]])), [np.nan, 1])


class TestBoxes:
    def test_continuous_edges_equal_inclusive_pixels(self):
        """The IoU of boxes with continuous edges is the IoU of the pixels that they cover, ACT's +1 rule."""
        random = np.random.default_rng(0)
        corners = np.sort(random.integers(0, 12, (40, 2, 2)), axis=1)
        corners[:, 1] += 1
        masks = np.zeros((40, 12 + 1, 12 + 1), bool)
        for mask, ((x1, y1), (x2, y2)) in zip(masks, corners, strict=True):
            mask[y1:y2, x1:x2] = True
        shared = (masks[:, None] & masks[None]).sum(axis=(2, 3))
        covered = (masks[:, None] | masks[None]).sum(axis=(2, 3))
        boxes = corners.reshape(40, 4)
        np.testing.assert_allclose(box_iou(boxes, boxes), shared / covered)

    def test_boxes_that_do_not_meet_and_empty_boxes_overlap_nothing(self):
        iou = box_iou([[0, 0, 2, 2], [5, 5, 5, 5]], [[2, 0, 4, 2], [3, 3, 9, 9], [5, 5, 5, 5]])
        assert not iou.any()
        assert box_iou(np.zeros((0, 4)), [[0, 0, 1, 1]]).shape == (0, 1)

    def test_an_iou_of_exactly_one_half_is_right(self):
        assert match_boxes([[0, 0, 10, 5]], [[0, 0, 10, 10]]).tolist() == [True]
        assert match_boxes([[0, 0, 10, 4.99]], [[0, 0, 10, 10]]).tolist() == [False]

    def test_the_second_detection_of_a_box_is_wrong(self):
        assert match_boxes([[0, 0, 10, 9], [0, 0, 10, 10]], [[0, 0, 10, 10]]).tolist() == [True, False]

    def test_a_taken_box_leaves_the_next_best_to_the_next_detection(self):
        truth = [[0, 0, 10, 10], [2, 0, 12, 10]]
        detections = [[0, 0, 10, 10], [0.5, 0, 10.5, 10], [0, 0, 10, 10]]
        assert match_boxes(detections, truth).tolist() == [True, True, False]

    def test_nothing_annotated(self):
        assert match_boxes([[0, 0, 1, 1]], np.zeros((0, 4))).tolist() == [False]
        assert match_boxes(np.zeros((0, 4)), [[0, 0, 1, 1]]).tolist() == []


@st.composite
def judged(draw):
    """Detections with distinct scores, judged, in a few videos, and annotations enough for the correct ones."""
    size, videos = draw(st.integers(0, 30)), draw(st.integers(1, 4))
    scores = draw(st.lists(st.integers(-1000, 1000), min_size=size, max_size=size, unique=True))
    correct = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)), bool)
    video = np.array(draw(st.lists(st.integers(0, videos - 1), min_size=size, max_size=size)), int)
    missed = np.array(draw(st.lists(st.integers(0, 5), min_size=videos, max_size=videos)))
    return np.array(scores, float), correct, video, missed + np.bincount(video[correct], minlength=videos)


@pytest.mark.parametrize("area", [envelope_ap, trapezoid_ap])
class TestProperties:
    @given(case=judged())
    def test_between_0_and_100(self, area, case):
        value = area(rank(*case))
        assert np.isnan(value) or -1e-9 <= value <= 100 + 1e-9

    @given(case=judged())
    def test_only_the_order_of_scores_counts(self, area, case):
        scores, *rest = case
        np.testing.assert_array_equal(area(rank(scores, *rest)), area(rank(np.arctan(scores / 100) + 7, *rest)))

    @given(case=judged(), seed=st.integers(0, 99))
    def test_the_order_of_detections_with_distinct_scores_does_not_count(self, area, case, seed):
        order = np.random.default_rng(seed).permutation(len(case[0]))
        shuffled = [column[order] for column in case[:3]]
        np.testing.assert_array_equal(area(rank(*case)), area(rank(*shuffled, case[3])))

    @given(case=judged())
    def test_finding_everything_and_nothing_else_gives_100(self, area, case):
        scores, correct, video, _ = case
        right = correct.nonzero()[0]
        if len(right):
            found = np.bincount(video[right])
            assert area(rank(scores[right], correct[right], video[right], found)) == pytest.approx(100)

    @given(case=judged())
    def test_a_further_wrong_detection_never_helps(self, area, case):
        scores, correct, video, positives = case
        value = area(rank(*case))
        worse = area(rank(np.append(scores, 0.5), np.append(correct, False), np.append(video, 0), positives))
        assert np.isnan(value) or np.isnan(worse) or worse <= value + 1e-9


@st.composite
def boxes_and_truth(draw):
    """Boxes of one class in one frame, on whole pixels, so near each other that they compete."""

    def some(most):
        corner, side = st.integers(0, 6), st.integers(1, 6)
        boxes = draw(st.lists(st.tuples(corner, corner, side, side), max_size=most))
        return np.array([[x, y, x + width, y + height] for x, y, width, height in boxes], float).reshape(-1, 4)

    return some(6), some(4)


class TestFrameMapRules:
    def test_without_the_added_pixel_boxes_are_smaller(self):
        """Pixels 0..9 × 0..4 of 0..9 × 0..9: 50 of 100 with it, 9 · 4 of 9 · 9 without."""
        half, whole = [[0, 0, 10, 5]], [[0, 0, 10, 10]]
        assert match_boxes(half, whole).tolist() == [True]
        assert match_boxes(half, whole, FrameMapRules(inclusive_pixels=False)).tolist() == [False]

    def test_the_next_best_box_may_be_out_of_reach(self):
        truth = [[0, 0, 10, 10], [2, 0, 12, 10]]
        detections = [[0, 0, 10, 10], [0.5, 0, 10.5, 10], [2, 0, 12, 10]]
        assert match_boxes(detections, truth).tolist() == [True, True, False]
        assert match_boxes(detections, truth, FrameMapRules(next_best_box=False)).tolist() == [True, False, True]

    def test_the_area_by_hand(self):
        """Right, wrong, right of 4: precision 1, 1/2, 2/3; the envelope is the same here, the trapezoids are not."""
        judged = rank([3, 2, 1], [True, False, True], [0, 0, 0], [4])
        assert class_ap(judged) == pytest.approx(100 * (1 + (1 / 2 + 2 / 3) / 2) / 4)
        assert class_ap(judged, FrameMapRules(envelope=True)) == pytest.approx(100 * (1 + 2 / 3) / 4)

    def test_a_class_that_is_nowhere(self):
        for envelope in (False, True):
            for scores in ([], [1.0]):
                nowhere = rank(scores, [False] * len(scores), [0] * len(scores), [0])
                assert np.isnan(class_ap(nowhere, FrameMapRules(envelope=envelope)))
                assert class_ap(nowhere, FrameMapRules(envelope=envelope, absent_class_is_zero=True)) == 0

    @given(case=boxes_and_truth())
    def test_as_many_are_right_as_boxes_are_taken_and_the_next_best_box_only_adds(self, case):
        boxes, truth = case
        counts = []
        for next_best in (False, True):
            correct = match_boxes(boxes, truth, FrameMapRules(next_best_box=next_best))
            assert correct.shape == (len(boxes),)
            assert (correct <= (box_iou(boxes, truth) >= 0.5).any(axis=1)).all()
            counts.append(correct.sum())
        assert counts[0] <= counts[1] <= min(len(boxes), len(truth))

    @given(case=boxes_and_truth())
    def test_the_added_pixel_is_what_continuous_edges_are(self, case):
        """In pixels without the addition, a box reaches from the middle of its first pixel to that of its last."""
        boxes, truth = case
        middles = [np.add(side, [0.5, 0.5, -0.5, -0.5]) for side in case]
        expected = match_boxes(*middles)
        assert match_boxes(boxes, truth, FrameMapRules(inclusive_pixels=False)).tolist() == expected.tolist()

    @given(case=judged())
    def test_the_envelope_is_never_below_the_trapezoids(self, case):
        ranking = rank(*case)
        trapezoids, envelope = class_ap(ranking), class_ap(ranking, FrameMapRules(envelope=True))
        assert np.isnan(trapezoids) == np.isnan(envelope)
        assert np.isnan(envelope) or envelope >= trapezoids - 1e-9


class TestRules:
    """The switches that concern AP; those of tracking are in test_mot.py."""

    def test_an_absent_joint_may_have_no_ap(self):
        nothing = rank([], [], [], [0])
        assert envelope_ap(nothing) == 0
        assert np.isnan(envelope_ap(nothing, PoseRules(absent_joint_has_zero_ap=False)))
        for zero in (True, False):
            assert np.isnan(envelope_ap(rank([1], [0], [0], [0]), PoseRules(absent_joint_has_zero_ap=zero)))

    def test_the_mean_may_be_over_columns(self):
        ap = np.array([10.0, 10, 10, *[0] * 12])
        assert pose_columns(ap)[-1] == pytest.approx(2)
        assert pose_columns(ap, PoseRules(mean_over_joints=False))[-1] == pytest.approx(10 / 7)

    def test_joints_of_paired_people_without_annotation_may_be_left_out(self):
        truth = annotated(person(), labelled=np.array([only(0, 5)]))
        found = predicted(person(), person(x=50, y=500))
        left = without_unannotated_joints(truth, found)
        assert left.present[0].tolist() == [name in ("nose", "left_shoulder") for name in POSE_JOINTS]
        assert left.present[1].all()
        assert left.source.tolist() == [0, 1]


class TestDistances:
    def test_are_in_head_sizes_up_to_half_a_head(self):
        distance = joint_distances(annotated(person()), predicted(person(x=3), person(x=15), person(x=15.1)))
        np.testing.assert_allclose(distance[:2, 0], np.tile([[0.1], [0.5]], 15))
        assert np.isnan(distance[2]).all()

    def test_need_both_joints(self):
        missing = person()
        missing[5] = np.nan
        distance = joint_distances(annotated(person(), labelled=np.array([only(0, 5)])), predicted(missing))
        assert np.flatnonzero(~np.isnan(distance[0, 0])).tolist() == [0]

    def test_without_a_head_nothing_is_found(self):
        truth = true_poses([person()], np.ones((1, 17), bool), [[5, 5, 5, 5]], ())
        assert np.isnan(joint_distances(truth, predicted(person()))).all()
        assert not match_poses(truth, predicted(person())).any()


def test_joints_that_are_not_exported_do_not_count():
    missing = np.stack([person(), np.full((17, 2), np.nan), person(y=500)])
    missing[0, 5] = np.nan
    found = predicted(*missing)
    assert found.source.tolist() == [0, 2]
    assert found.present.sum(axis=1).tolist() == [14, 15]


class TestTop1:
    def test_by_hand(self):
        """Class 0: 3 of 4; class 1: none of 1; class 2: nobody; class 3: 1 of 1. So 4 of 6, mean (75 + 0 + 100) / 3."""
        label, predicted = [0, 0, 1, 0, 0, 3], [0, 2, 0, 0, 0, 3]
        recognised = count_recognised(predicted, label, [0, 0, 0, 1, 1, 1], classes=4)
        assert recognised.total.tolist() == [[2, 1, 0, 0], [2, 0, 0, 1]]
        assert recognised.correct.tolist() == [[1, 0, 0, 0], [2, 0, 0, 1]]
        expected = [400 / 6, 175 / 3, 75, 0, np.nan, 100]
        np.testing.assert_allclose(top1(recognised.correct.sum(axis=0), recognised.total.sum(axis=0)), expected)

    def test_nothing(self):
        recognised = count_recognised([], [], [], classes=3)
        assert np.isnan(top1(recognised.correct.sum(axis=0), recognised.total.sum(axis=0))).all()

    @given(data=st.data(), size=st.integers(1, 30), groups=st.integers(1, 5))
    def test_counts_of_groups_add_up_and_the_grouping_does_not_matter(self, data, size, groups):
        def some(most):
            return data.draw(st.lists(st.integers(0, most), min_size=size, max_size=size))

        predicted, label, group = some(4), some(4), some(groups)
        grouped, single = (count_recognised(predicted, label, each, 5) for each in (group, range(size)))
        values = [top1(counts.correct.sum(axis=0), counts.total.sum(axis=0)) for counts in (grouped, single)]
        np.testing.assert_array_equal(*values)
        assert values[0][0] == pytest.approx(100 * np.mean(np.equal(predicted, label)))
        for c in {*label}:
            of_class = np.equal(label, c)
            assert values[0][2 + c] == pytest.approx(100 * np.mean(np.asarray(predicted)[of_class] == c))
        assert np.nanmin(values[0][2:]) - 1e-9 <= values[0][1] <= np.nanmax(values[0][2:]) + 1e-9


class TestRankingOfVideos:
    def test_the_annotations_of_all_frames_of_a_video_add_up(self):
        frame = annotated(person(), person(y=99)), predicted(person())
        nose, *_ = rank_joints([(1, *frame), (1, *frame), (0, *frame)], 2)
        assert nose.positives.tolist() == [2, 4]
        assert envelope_ap(nose) == pytest.approx(50)


def test_who_is_left_keeps_their_own_head():
    around_the_first = [[[-9, -9], [2000, -9], [2000, 9], [-9, 9]]]
    heads = [HEAD, [0, 0, 6, 8]]
    left = true_poses([person(), person(y=50)], np.ones((2, 17), bool), heads, around_the_first)
    assert left.head_size.tolist() == [6]
    assert left.source.tolist() == [1]


def test_a_neck_between_shoulders_needs_both():
    joints = person()
    joints[6] = np.nan
    found = predicted_poses([joints], np.ones(17), [], "shoulders")
    neck = POSE_JOINTS.index("neck")
    assert not found.present[0, neck]
    assert predicted_poses([joints], np.ones(17), [], "head_bottom").present[0, neck]


def test_who_is_left_without_unannotated_joints_is_still_the_same_detection():
    everywhere = [[[-9, -9], [2000, -9], [2000, 9], [-9, 9]]]
    found = predicted(person(), person(y=50), regions=everywhere)
    assert without_unannotated_joints(annotated(person(y=50)), found).source.tolist() == [1]
