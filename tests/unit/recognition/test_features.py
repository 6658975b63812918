"""Features of people in dives: DiMoFs read at joints, streaming over a video, the PCA, resuming."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from dimofs.config import Farneback, Features, Model
from dimofs.datasets.diving48 import Dive, as_video, read_frames
from dimofs.datasets.records import LABELLED_SLOTS
from dimofs.model.fields import joint_features, motion_fields
from dimofs.model.pose_detector import PoseDetector
from dimofs.pairs.index import pair_index
from dimofs.pairs.loading import as_tensor, resize, zoomed
from dimofs.recognition import features as module
from dimofs.recognition.features import (
    COLUMNS,
    Projection,
    extract,
    fit_projection,
    inner_pairs,
    load_projection,
    observe,
    save_projection,
)
from dimofs.training.loop import encode

SETTINGS = Features(
    score_threshold=0.0,
    scope="joint",
    components=3,
    pca_dives=2,
    flow=Farneback(settings="opencv"),
    batch_size=4,
    threads=1,
)
MODEL = Model(
    backbone="small",
    small_width=8,
    fpn_channels=8,
    anchor_sizes=(8, 16, 32, 48, 64),
    image_size=64,
    image_max_size=64,
    box_features=16,
    keypoint_layers=(8,),
    proposals_train=8,
    proposals_test=8,
    rois_per_image=4,
    anchors_per_image=8,
    detections_per_image=3,
    score_threshold=0.05,
    nms_threshold=0.5,
)


def shift(frame_a: np.ndarray, frame_b: np.ndarray) -> np.ndarray:
    """A flow that says (x, y) at every pixel."""
    height, width = frame_a.shape[:2]
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)


def moving_noise(frames: int, seed: int) -> list[np.ndarray]:
    """Coloured noise that moves by a pixel from frame to frame."""
    texture = np.random.default_rng(seed).integers(0, 255, (80, 80, 3), np.uint8)
    return [np.ascontiguousarray(texture[:64, step % 16 : 64 + step % 16]) for step in range(frames)]


@pytest.fixture
def dives(tmp_path: Path, encode: Callable[..., Path]) -> list[Dive]:
    paths = [encode(tmp_path / f"a_{index:05d}.mp4", moving_noise(11, index)) for index in range(3)]
    return [Dive(path.stem, "train", path, 0, 11) for path in paths]


@pytest.fixture
def network() -> PoseDetector:
    torch.manual_seed(0)
    detector = PoseDetector(MODEL, pairs=True)
    assert detector.offsets is not None
    for weight in detector.offsets.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    return detector.eval()


def pairs_of(dives: list[Dive], delta: int) -> pd.DataFrame:
    return pair_index([as_video(dive) for dive in dives], {"train": (delta,)})


# ---- DiMoFs at points


# ---- pairs


def test_clamped_pairs_are_left_out(dives: list[Dive]) -> None:
    found = inner_pairs(pairs_of(dives, 5))
    assert set(found) == {dive.name for dive in dives}
    assert found[dives[0].name] == {(a, a + 5): [5] for a in range(6)}


# ---- streaming


@pytest.mark.parametrize("delta", [5, -3, 0])
def test_every_pair_is_observed_once_from_its_own_frames(network: PoseDetector, dives: list[Dive], delta: int) -> None:
    """Equal to each pair by itself; and the backbone sees each frame once."""
    pairs = list(inner_pairs(pairs_of(dives[:1], delta))[dives[0].name])
    seen: list[int] = []
    network.backbone.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    with torch.inference_mode():
        together = dict(observe(network, dives[0], pairs, MODEL, SETTINGS, shift))
        assert sum(seen) == 11
        assert set(together) == set(pairs)
        for pair in pairs[::3]:
            ((_, alone),) = observe(network, dives[0], [pair], MODEL, SETTINGS, shift)
            assert len(alone.scores) == len(together[pair].scores) > 0
            for name in ("scores", "boxes", "joints", "joint_scores", "dimofs", "flow"):
                np.testing.assert_allclose(getattr(together[pair], name), getattr(alone, name), atol=2e-4, err_msg=name)
            assert together[pair].dimofs.any() == (delta != 0)


def test_flow_is_read_at_the_joints_in_pixels_of_the_file(network: PoseDetector, dives: list[Dive]) -> None:
    double = MODEL.model_copy(update={"image_size": 128, "image_max_size": 128})
    with torch.inference_mode():
        for zoom, model in ((1, MODEL), (2, double)):
            _, people = next(observe(network, dives[0], [(0, 5)], model, SETTINGS, shift))
            assert people.joints.shape[1:] == (15, 2)
            inside = (people.joints > 1).all(-1) & (people.joints < 62).all(-1)
            # `shift` says the network's own coordinates.
            np.testing.assert_allclose(people.flow[inside], zoomed(people.joints[inside], zoom) / zoom, atol=0.05)
            assert inside.any()


def test_people_below_the_threshold_are_left_out(network: PoseDetector, dives: list[Dive]) -> None:
    with torch.inference_mode():
        module.prepare(network, SETTINGS.model_copy(update={"score_threshold": 0.99}))
        ((_, people),) = observe(network, dives[0], [(0, 5)], MODEL, SETTINGS, shift)
    assert len(people.scores) == 0
    assert people.dimofs.shape[1:] == (15, 4 * 2 * MODEL.fpn_channels)


# ---- the PCA and the table


@pytest.mark.parametrize(("scope", "width"), [("joint", 45), ("stacked", 3)])
def test_the_pca_projects_people_and_survives_a_file(
    network: PoseDetector, dives: list[Dive], tmp_path: Path, scope: Any, width: int
) -> None:
    settings = SETTINGS.model_copy(update={"scope": scope})
    projection = fit_projection(network, dives, pairs_of(dives, 5), MODEL, settings, 0)
    np.testing.assert_allclose(projection.components @ projection.components.T, np.eye(3), atol=1e-4)
    save_projection(projection, tmp_path / "pca.safetensors")
    again = load_projection(tmp_path / "pca.safetensors")
    vectors = np.random.default_rng(0).normal(size=(4, 15, 64)).astype(np.float32)
    reduced = again.apply(vectors)
    assert reduced.shape == (4, width)
    np.testing.assert_array_equal(reduced, projection.apply(vectors))
    assert again.apply(vectors[:0]).shape == (0, width)


def test_a_projection_is_that_of_each_joint() -> None:
    projection = Projection(np.array([1, 0], np.float32), np.array([[0, 2]], np.float32))
    dimofs = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    np.testing.assert_array_equal(projection.apply(dimofs), [[2, 6, 10], [14, 18, 22]])


def run(network: PoseDetector, dives: list[Dive], tmp_path: Path, identity: dict[str, int]) -> pd.DataFrame:
    projection = Projection(np.zeros(64, np.float32), np.eye(3, 64, dtype=np.float32))
    out = tmp_path / "out" / "train.parquet"
    pairs = pairs_of(dives, 5)
    extract(network, dives, pairs, projection, MODEL, SETTINGS, shift, out, tmp_path / "resume", identity)
    return pd.read_parquet(out)


def test_the_table_has_a_row_for_every_person_of_every_pair(
    network: PoseDetector, dives: list[Dive], tmp_path: Path
) -> None:
    table = run(network, dives, tmp_path, {})
    assert tuple(table) == COLUMNS
    assert set(table["video"]) == {dive.name for dive in dives}
    assert set(table["frame"]) == set(range(6))
    assert (table["delta"] == 5).all()
    assert (
        table.groupby(["video", "frame"])["person"].apply(lambda people: list(people) == list(range(len(people)))).all()
    )
    for name, length in (("box", 4), ("joints", 30), ("joint_scores", 15), ("dimofs", 45), ("flow", 30)):
        assert {len(value) for value in table[name]} == {length}, name
    assert not (tmp_path / "resume").exists()


def test_a_stopped_run_goes_on_and_ends_the_same(
    network: PoseDetector, dives: list[Dive], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART", 1)
    whole = run(network, dives, tmp_path / "whole", {"seed": 1})
    computed: list[str] = []
    observe_one: Callable[..., Any] = module.observe

    def counted(network: PoseDetector, dive: Dive, *rest: Any) -> Any:
        if dive.name == dives[2].name and len(computed) == 2:
            computed.append("stopped")
            raise KeyboardInterrupt
        computed.append(dive.name)
        return observe_one(network, dive, *rest)

    monkeypatch.setattr(module, "observe", counted)
    with pytest.raises(KeyboardInterrupt):
        run(network, dives, tmp_path / "parts", {"seed": 1})
    again = run(network, dives, tmp_path / "parts", {"seed": 1})
    assert computed == [dives[0].name, dives[1].name, "stopped", dives[2].name]
    pd.testing.assert_frame_equal(whole, again)


def test_parts_of_another_run_are_not_used(
    network: PoseDetector, dives: list[Dive], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(network, dives[:1], tmp_path, {"seed": 1})
    monkeypatch.setattr(module.shutil, "rmtree", lambda _: None)
    first = run(network, dives[:1], tmp_path, {"seed": 1})
    with torch.no_grad():
        for weight in network.offsets.parameters():  # type: ignore[union-attr]
            weight *= 2
    kept = run(network, dives[:1], tmp_path, {"seed": 1})
    pd.testing.assert_frame_equal(first, kept)
    other = run(network, dives[:1], tmp_path, {"seed": 2})
    assert not np.array_equal(np.stack(first["dimofs"])[:1], np.stack(other["dimofs"])[:1])


def test_dives_without_pairs_are_not_opened(network: PoseDetector, dives: list[Dive], tmp_path: Path) -> None:
    absent = replace(dives[0], name="absent", path=tmp_path / "absent.mp4", split="test")
    projection = fit_projection(network, [absent, *dives], pairs_of(dives, 5), MODEL, SETTINGS, 0)
    assert projection.components.shape == (3, 64)


@pytest.mark.usefixtures("in_float32")
@torch.inference_mode()
@pytest.mark.parametrize("zoom", [1, 2])
def test_people_are_those_of_frame_b_seen_as_frame_a_in_pixels_of_the_file(
    network: PoseDetector, dives: list[Dive], zoom: int
) -> None:
    """Equal to the network's own parts, with A and B in their order."""
    assert network.offsets is not None
    shown: list[np.ndarray] = []

    def flow(*frames: np.ndarray) -> np.ndarray:
        shown.extend(frames)
        return shift(*frames)

    model = MODEL.model_copy(update={"image_size": 64 * zoom, "image_max_size": 64 * zoom})
    ((_, people),) = observe(network, dives[0], [(2, 7)], model, SETTINGS, flow)
    frames = [resize(frame, zoom) for frame in read_frames(dives[0])]
    np.testing.assert_array_equal(shown, [frames[2], frames[7]])
    a, b = (encode(network.backbone, as_tensor([frames[position]])) for position in (2, 7))
    (found,) = network.detect(network.resampled(a, b), [(64 * zoom, 64 * zoom)])
    joints = found["keypoints"][:, LABELLED_SLOTS, :2]
    moved = joint_features(motion_fields(network.offsets(a, b)), joints.reshape(1, -1, 2))[0]
    assert len(joints) > 0
    np.testing.assert_allclose(people.boxes, found["boxes"] / zoom, atol=1e-3)
    np.testing.assert_allclose(people.joints, zoomed(joints, 1 / zoom), atol=1e-3)
    np.testing.assert_allclose(people.joint_scores, found["keypoints_scores"][:, LABELLED_SLOTS], atol=1e-3)
    np.testing.assert_allclose(people.dimofs.reshape(len(moved), -1), moved / zoom, atol=1e-3)


def test_the_pca_sees_dives_from_the_whole_list(
    network: PoseDetector, dives: list[Dive], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    observe_one: Callable[..., Any] = module.observe
    monkeypatch.setattr(
        module, "observe", lambda net, dive, *rest: seen.append(dive.name) or observe_one(net, dive, *rest)
    )
    fit_projection(network, dives, pairs_of(dives, 5), MODEL, SETTINGS, 0)
    assert seen == [dives[0].name, dives[2].name]
