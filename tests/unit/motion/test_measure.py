from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from dimofs.config import load_config
from dimofs.datasets.posetrack import read_posetrack18
from dimofs.datasets.records import DatasetError
from dimofs.datasets.synthetic.body import PARTS
from dimofs.datasets.synthetic.posetrack_files import posetrack_plan, write_sequence
from dimofs.datasets.synthetic.sidecar import load_sidecar, person_flow, thing_flow
from dimofs.flow import dense_inverse_search, farneback
from dimofs.model.backbone import STRIDES
from dimofs.model.fields import motion_fields
from dimofs.model.pose_detector import PoseDetector
from dimofs.motion.evaluate import MOTIONS, evaluate_motion
from dimofs.motion.examples import spread
from dimofs.motion.measure import (
    BODY,
    _pair_sums,
    channel_sums,
    discrimination_sums,
    joint_sums,
    measure,
    measured_pairs,
    saliency_sums,
    surface_sums,
)
from dimofs.motion.predict import PairMotion, pair_motions
from dimofs.motion.read_out import fit, fit_read_out, joint_displacements
from dimofs.motion.show import ROWS, chosen_pairs, show_pairs, shown_channels
from dimofs.pairs.index import pair_index
from dimofs.pairs.loading import load_frames, read_frame
from dimofs.pairs.sampling import Draw
from dimofs.training.loop import encode

SMOKE = Path(__file__).parents[3] / "scenarios/smoke/config/config.yaml"


def constant(dx: float, dy: float, height: int = 4, width: int = 6) -> np.ndarray:
    return np.broadcast_to(np.array([dx, dy], np.float32), (height, width, 2)).copy()


class TestMeasuredPairs:
    def index(self):
        rows = [
            ("val", video, a, a + delta, delta, a == 0)
            for video in "wv"
            for delta in (-1, 0, 1)
            for a in (0, 2, 4, 6, 8, 10)
        ]
        return pd.DataFrame(rows, columns=["split", "video", "frame_a", "frame_b", "delta", "clamped"])

    def test_evenly_spread_frames_of_every_video_and_gap(self):
        chosen = measured_pairs(self.index(), 3)
        assert list(chosen.groupby(["video", "delta"])["frame_a"].agg(list)) == [[2, 6, 10]] * 4
        assert set(chosen["delta"]) == {-1, 1}
        assert not chosen["clamped"].any()

    def test_a_short_video_gives_what_it_has(self):
        assert len(measured_pairs(self.index(), 99)) == 5 * 4

    def test_nothing_to_measure_is_an_error(self):
        with pytest.raises(DatasetError, match="none has another δ than 0"):
            measured_pairs(self.index().assign(clamped=True), 2)


class TestJointSums:
    def test_errors_are_lengths_at_the_joints(self):
        places = np.array([[1, 1], [3, 2]], np.float32)
        displacements = np.array([[3, 4], [0, 2]], np.float32)
        sums = joint_sums({"still": constant(0, 0), "right": constant(3, 0)}, places, displacements)
        assert sums["joints"] == 2
        assert sums["joint_error/zero"] == sums["joint_error/still"] == 7
        assert sums["joint_error/right"] == pytest.approx(4 + 13**0.5)
        assert sums["joint_square/right"] == pytest.approx(16 + 13)
        assert (sums["joint_x"], sums["joint_y"]) == (3, 6)

    def test_between_pixels_a_motion_is_interpolated(self):
        field = np.zeros((4, 6, 2), np.float32)
        field[..., 0] = np.arange(6)
        place, displacement = np.array([[2.5, 1.25]], np.float32), np.array([[2.5, 0]], np.float32)
        assert joint_sums({"ramp": field}, place, displacement)["joint_error/ramp"] == pytest.approx(0, abs=1e-5)

    def test_nobody_adds_nothing(self):
        nobody = np.zeros((0, 2), np.float32)
        assert set(joint_sums({"a": constant(1, 1)}, nobody, nobody).values()) == {0}


def test_surface_sums_count_people_and_what_is_outside():
    people = np.zeros((4, 6), bool)
    people[1, 1:3] = True
    exact = constant(0, 2) * people[..., None]
    step = constant(0, 2)
    step[:, 4:] = (3, 2)
    sums = surface_sums({"read_out": step, "flow": constant(3, 0)}, exact, people)
    assert (sums["people"], sums["outside"]) == (2, 22)
    assert sums["people_error/read_out"] == 0
    assert sums["people_error/zero"] == 4
    assert sums["people_error/flow"] == pytest.approx(2 * 13**0.5)
    assert sums["outside_length/flow"] == 22 * 3
    assert sums["outside_variation/flow"] == 0
    assert sums["outside_variation/read_out"] == 4 * 3  # one step to the right in each of four rows
    assert sums["moments/flow"].tolist() == [0, 4, 6, 0, 8, 18, 0]
    assert sums["moments/exact"].tolist() == [0, 4, 0, 4, 8, 8, 8]
    assert "moments/read_out" not in sums


def test_saliency_sums_split_a_map():
    people = np.array([[True, False, False]])
    sums = saliency_sums({"map": np.array([[5.0, 1.0, 2.0]])}, people)
    assert sums == {"on_people/map": 5, "off_people/map": 3}


class TestDiscrimination:
    def test_within_one_octave_it_is_the_area_under_the_curve(self):
        generator = np.random.default_rng(0)
        score = generator.integers(0, 6, (8, 10)).astype(np.float32)  # with ties
        people, things = np.zeros((2, 8, 10), bool)
        people[:3], things[4:7] = True, True
        sums = discrimination_sums({"s": score}, np.full((8, 10), 3.0), people, things)
        expected = roc_auc_score(np.r_[np.ones(30), np.zeros(30)], np.r_[score[people], score[things]])
        assert sums["area/s"] == pytest.approx(expected)
        assert sums["compared"] == 1

    def test_only_what_moves_as_much_is_compared(self):
        people, things = np.array([[True, True, False, False, False]]), np.array([[False, False, True, True, True]])
        speed = np.array([[3.0, 20.0, 2.5, 9.0, 0.5]])
        score = np.array([[5.0, 0.0, 1.0, 9.0, 9.0]])
        sums = discrimination_sums({"s": score}, speed, people, things)
        assert sums == {"compared": 1, "area/s": 1}

    def test_nothing_to_compare_counts_for_nothing(self):
        people, things = np.array([[True, False]]), np.array([[False, True]])
        sums = discrimination_sums({"s": np.ones((1, 2))}, np.array([[0.5, 0.5]]), people, things)
        assert sums == {"compared": 0, "area/s": 0}


def test_channel_sums_look_at_the_centres_of_feature_pixels():
    parts = np.zeros((8, 8), np.uint8)
    parts[2, 2] = PARTS.index("head") + 1
    parts[2, 6] = len(PARTS) + PARTS.index("nose") + 1  # of another person; it counts with the head
    parts[6, 2] = PARTS.index("left_foot") + 1
    exact = np.zeros((8, 8, 2), np.float32)
    exact[2, 2], exact[2, 6], exact[6, 2] = (1, 0), (2, 0), (0, 3)
    channels = np.zeros((2, 2, 2, 2), np.float32)
    channels[0] = (1, 0)
    channels[1] = (0, -2)
    sums = channel_sums(channels, 4.0, exact, parts)
    head, foot = BODY.index("head"), BODY.index("left_foot")
    assert sums["gram"].tolist() == [[3, 0], [0, 12]]
    assert sums["following"][:, [head, foot]].tolist() == [[3, 0], [0, -6]]
    assert sums["channel_energy"][:, [head, foot]].tolist() == [[2, 1], [8, 4]]
    assert sums["flow_energy"][[head, foot]].tolist() == [5, 9]
    assert sums["flow_energy"].sum() == 14


# ---- the whole chapter on two small rendered videos, with weights that nobody trained


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    root = tmp_path_factory.mktemp("posetrack18")
    settings = load_config(SMOKE)
    sizes = settings.datasets.model_copy(
        update={
            "posetrack18": settings.datasets.posetrack18.model_copy(
                update={"train_videos": 1, "val_videos": 2, "frames": 6, "labelled_frames": 6}
            )
        }
    )
    for task in posetrack_plan(sizes, 0, root):
        if task.split == "val":
            write_sequence(task)
    videos = read_posetrack18(root)
    torch.manual_seed(0)
    detector = PoseDetector(settings.model, pairs=True)
    for weight in detector.offsets.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    pairs = pair_index(videos, {"val": (-2, 0, 2)})
    return detector, videos, pairs, root / "sidecar" / "val", settings


def coefficients(settings) -> torch.Tensor:
    return torch.full((2, 8 * settings.model.fpn_channels), 0.01)


def test_measures_of_rendered_videos_have_every_quantity(chapter):
    detector, videos, pairs, sidecars, settings = chapter
    chosen = measured_pairs(pairs, 2)
    sums = measure(detector, coefficients(settings), videos, chosen, sidecars, settings.model, 4)
    assert sums[["delta", "pairs"]].to_numpy().tolist() == [[-2, 2], [2, 2]] * 2
    table = evaluate_motion(sums, settings.paper, 0)
    people = table[(table["quantity"] == "people_error") & (table["against"] == "")]
    assert set(people["method"]) == {*MOTIONS, "zero"}
    assert (people["value"] > 0).all()
    assert set(table["delta"]) == {-2, 2}


class Known:
    """A pair whose read-out is the exact motion, whose saliencies are people and things, whose channels are 1, 2, 3."""

    scale = 1.0

    def __init__(self, frame_a, frame_b, motion, people, things):
        self.frame_a, self.frame_b = frame_a, frame_b
        self._motion, self._saliency = motion, (people.astype(np.float32), things.astype(np.float32))
        height, width = people.shape
        self.fields = [torch.zeros(1, 3, 2, height // stride, width // stride) for stride in STRIDES]
        self.fields[0][0, :, 0] = torch.tensor([1.0, 2, 3])[:, None, None]

    def read_out(self, coefficients):
        return self._motion

    def saliency(self):
        return self._saliency


def test_what_is_known_exactly_is_measured_as_such(chapter):
    _, videos, _, sidecars, _ = chapter
    compared = 0
    for video in videos:
        sidecar = load_sidecar(sidecars / f"{video.name}.npz")
        for a, b in ((0, 3), (4, 1), (1, 5)):
            exact, people = person_flow(sidecar, a, b)
            exact_things, things = thing_flow(sidecar, a, b)
            motion = Known(a, b, exact + exact_things, people, things)
            sums = _pair_sums(video, motion, torch.zeros(2, 24), sidecar)
            assert sums["people_error/read_out"] == pytest.approx(0, abs=1e-3)
            assert sums["people_error/zero"] == pytest.approx(np.hypot(*exact[people].T).sum(), rel=1e-4)
            assert sums["on_people/saliency_of_sum"] == people.sum()
            centres = people[2::4, 2::4]
            np.testing.assert_allclose(sums["gram"], centres.sum() * np.outer([1, 2, 3], [1, 2, 3]))
            assert sums["flow_energy"].sum() == pytest.approx((exact[2::4, 2::4][centres] ** 2).sum(), rel=1e-4)
            octaves = np.floor(np.log2(np.maximum(np.hypot(*(exact + exact_things).transpose(2, 0, 1)), 0.1)))
            alike = set(octaves[people & (octaves >= 0)]) & set(octaves[things & (octaves >= 0)])
            assert sums["compared"] == bool(alike)
            if alike:
                compared += 1
                assert (sums["area/saliency_of_sum"], sums["area/saliency_of_magnitudes"]) == (1, 0)
    assert compared


def test_without_sidecars_joints_alone_are_measured(chapter, tmp_path):
    detector, videos, pairs, sidecars, settings = chapter
    chosen = measured_pairs(pairs, 2)
    rendered = measure(detector, coefficients(settings), videos, chosen, sidecars, settings.model, 4)
    filmed = measure(detector, coefficients(settings), videos, chosen, tmp_path, settings.model, 4)
    shared = [column for column in rendered if column.startswith(("joint", "pairs", "video", "delta"))]
    assert list(filmed.columns) == shared
    pd.testing.assert_frame_equal(filmed, rendered[shared])
    table = evaluate_motion(filmed, settings.paper, 0)
    assert set(table["quantity"]) == {"joint_error", "joint_gain", "joint_r2"}


def test_rows_of_figure_3_are_one_pair_a_video(chapter):
    detector, videos, pairs, sidecars, settings = chapter
    chosen = chosen_pairs(videos, pairs)
    assert sorted(video.name for video, *_ in chosen) == sorted(video.name for video in videos)
    assert [(a, b) for _, a, b in chosen] == [(3, 5)] * 2
    assert ROWS >= len(spread([1.0, 2.0], ROWS)) == 2
    one, other = show_pairs(detector, coefficients(settings), chosen, sidecars, settings.model, 0)
    assert one.channels.shape == (2, 64, 64, 2)
    assert one.predicted.shape == one.farneback.shape == one.exact.shape == (64, 64, 2)
    assert one.saliency.shape == (64, 64)
    assert one.channel == other.channel
    assert one.channel[0] < one.channel[1] < settings.model.fpn_channels


def test_a_frame_that_is_zoomed_for_the_network_is_measured_in_its_own_pixels(chapter):
    """The network sees frames twice as large; maps come back at the file's size, displacements in the file's pixels."""
    detector, videos, _, sidecars, settings = chapter
    doubled = settings.model.model_copy(update={"image_size": 128, "image_max_size": 128})
    (example,) = show_pairs(detector, coefficients(settings), [(videos[0], 1, 3)], sidecars, doubled, 0)
    assert example.predicted.shape == (64, 64, 2)
    (motion,) = pair_motions(detector, videos[0], [(1, 3)], doubled, 2)
    assert motion.scale == 2
    at_joint = motion.joint_features(np.array([[20.0, 30.0]], np.float32)) @ coefficients(settings).numpy().T
    np.testing.assert_allclose(example.predicted[30, 20], at_joint[0], rtol=0.1, atol=0.1)


def test_motion_of_a_zoomed_and_padded_frame_is_that_of_the_file():
    """25×20 pixels of the file are 50×40 of the network, padded to 64×64; the first channel's dx says its own x there.

    The second channel is half of it and opposite, so that the magnitude of the sum is a half and the sum three halves.
    """
    levels = [torch.zeros(1, 2, 2, 64 // stride, 64 // stride) for stride in STRIDES]
    levels[0][:, 0, 0] = 4 * torch.arange(16) + 1.5
    levels[0][:, 1, 0] = -levels[0][:, 0, 0] / 2
    motion = PairMotion(0, 1, levels, (40, 50), 2.0)
    coefficients = torch.zeros(2, 16)
    coefficients[0, 0] = 1
    inner, expected = slice(1, -1), np.tile(np.arange(25) + 0.25, (20, 1))  # x of the file is 2x + 0.5 of the network
    read = motion.read_out(coefficients)
    assert read.shape == (20, 25, 2)
    np.testing.assert_allclose(read[:, inner, 0], expected[:, inner], atol=1e-4)
    assert not read[..., 1].any()
    np.testing.assert_allclose(motion.channels([1, 0])[1, :, inner, 0], expected[:, inner], atol=1e-4)
    of_sum, of_magnitudes = motion.saliency()
    np.testing.assert_allclose(of_sum[:, inner], expected[:, inner] / 2, atol=1e-4)
    np.testing.assert_allclose(of_magnitudes[:, inner], expected[:, inner] * 1.5, atol=1e-4)
    at_joint = motion.joint_features(np.array([[5, 7], [6.5, 2]], np.float32))
    np.testing.assert_allclose(at_joint[:, 0], [5.25, 6.75], atol=1e-4)


@pytest.mark.usefixtures("in_float32")
@torch.inference_mode()
@pytest.mark.parametrize(("a", "b"), [(1, 3), (4, 2)])
def test_fields_are_the_offsets_from_a_to_b(chapter, a, b):
    detector, videos, _, _, settings = chapter
    (motion,) = pair_motions(detector, videos[0], [(a, b)], settings.model, 2)
    features = encode(detector.backbone, load_frames(videos[0], [a, b], settings.model)[0])
    expected = motion_fields(detector.offsets([level[:1] for level in features], [level[1:] for level in features]))
    assert (motion.frame_a, motion.frame_b) == (a, b)
    for field, wanted in zip(motion.fields, expected, strict=True):
        torch.testing.assert_close(field, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("zoom", [1, 2])
def test_the_sums_of_a_pair_are_of_what_moves_from_a_to_b(chapter, zoom):
    """Of one pair, from the parts: flow, exact motion, joints, and channels at the centres of feature pixels."""
    detector, videos, pairs, sidecars, settings = chapter
    video, a, b = videos[0], 1, 3
    sides = {"image_size": 64 * zoom, "image_max_size": 64 * zoom}
    model = settings.model.model_copy(update=sides)
    pair = pairs.query("video == @video.name and frame_a == @a and frame_b == @b")
    (sums,) = measure(detector, coefficients(settings), videos, pair, sidecars, model, 2).to_dict("records")

    sidecar, frames = load_sidecar(sidecars / f"{video.name}.npz"), [read_frame(video.frames[at]) for at in (a, b)]
    exact, people = person_flow(sidecar, a, b)
    flows = {
        "zero": np.zeros_like(exact),
        "farneback": farneback(*frames, "detect_and_track"),
        "farneback_opencv": farneback(*frames, "opencv"),
        "dis": dense_inverse_search(*frames),
    }
    for name, flow in flows.items():
        error = np.linalg.norm((flow - exact)[people].astype(float), axis=-1).sum()
        assert sums[f"people_error/{name}"] == pytest.approx(error, rel=1e-4)
    _, displacements = joint_displacements(video.frames[a], video.frames[b])
    assert [sums["joint_x"], sums["joint_y"]] == pytest.approx(displacements.sum(0).tolist(), rel=1e-4)

    step = 4 // zoom
    centres = (slice(step // 2, None, step),) * 2
    (motion,) = pair_motions(detector, video, [(a, b)], model, 2)
    seen, finest = people[centres], motion.fields[0][0].movedim(1, 3).cpu().numpy() / zoom
    assert sums["flow_energy"].sum() == pytest.approx((exact[centres][seen].astype(float) ** 2).sum(), rel=1e-4)
    products = np.einsum("cnd,end->ce", *[finest[:, seen].astype(float)] * 2)
    np.testing.assert_allclose(sums["gram"], products.ravel(), rtol=1e-3, atol=1e-3)
    exact_things, things = thing_flow(sidecar, a, b)
    read_out = {"s": np.linalg.norm(flows["dis"], axis=-1)}
    speed = np.linalg.norm(exact + exact_things, axis=-1)
    expected = discrimination_sums(read_out, speed, people, things)
    assert (sums["compared"], sums["area/dis"]) == (expected["compared"], pytest.approx(expected["area/s"]))


def test_the_variation_outside_people_is_across_and_down():
    nobody, step = np.zeros((4, 6), bool), constant(0, 2)
    step[2:] = (3, 2)
    sums = surface_sums({"read_out": step}, constant(0, 0), nobody)
    assert sums["outside_variation/read_out"] == 6 * 3  # one step down in each of six columns


def test_a_row_of_figure_3_shows_frame_a_then_b_and_the_exact_motion_between(chapter):
    detector, videos, _, sidecars, settings = chapter
    (row,) = show_pairs(detector, coefficients(settings), [(videos[0], 1, 3)], sidecars, settings.model, 0)
    np.testing.assert_array_equal(row.frame_a, read_frame(videos[0].frames[1]))
    np.testing.assert_array_equal(row.frame_b, read_frame(videos[0].frames[3]))
    exact, _ = person_flow(load_sidecar(sidecars / f"{videos[0].name}.npz"), 1, 3)
    assert exact.any()
    np.testing.assert_array_equal(row.exact, exact)
    assert len({shown_channels(settings.model, seed) for seed in range(20)}) > 1


def test_the_read_out_is_fitted_to_the_ways_of_joints_at_their_places_in_frame_a(chapter):
    detector, videos, _, _, settings = chapter
    wanted = [(1, 3), (2, 0)]
    draws = [
        Draw(position, video.name, a, b, b - a)
        for position, (video, (a, b)) in enumerate((video, pair) for video in videos for pair in wanted)
    ]
    found = fit_read_out(detector, videos, [*draws, draws[0]], settings.model, 2)  # a pair drawn twice counts once
    features, ways, groups = [], [], []
    for index, video in enumerate(sorted(videos, key=lambda video: video.name)):
        for motion in pair_motions(detector, video, wanted, settings.model, 2):
            places, way = joint_displacements(video.frames[motion.frame_a], video.frames[motion.frame_b])
            features.append(motion.joint_features(places))
            ways.append(way)
            groups += [index] * len(places)
    expected = fit(np.concatenate(features), np.concatenate(ways), np.array(groups))
    assert (found.joints, found.penalty) == (expected.joints, expected.penalty)
    assert found.coefficients.abs().max() > 0
    torch.testing.assert_close(found.coefficients, expected.coefficients)
