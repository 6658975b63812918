from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from dimofs.config import Model, load_config
from dimofs.datasets.records import POSETRACK_JOINTS, DatasetError, Frame, Video
from dimofs.model.backbone import both_frames
from dimofs.model.pose_detector import PoseDetector
from dimofs.pairs.index import pair_index
from dimofs.pairs.loading import load_frames
from dimofs.pose.predict import every_frame, predict
from dimofs.training.loop import as_input

FRAMES = 6


@pytest.fixture(scope="module")
def model() -> Model:
    small = {"small_width": 8, "fpn_channels": 8, "box_features": 16, "keypoint_layers": (8,), "score_threshold": 0.0}
    small |= {"proposals_test": 6, "detections_per_image": 4}
    return load_config(Path(__file__).parents[3] / "config/config.yaml").model.model_copy(update=small)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Video:
    """Frames of twice the network's size, the middle ones labelled."""
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    frames = []
    for number in range(FRAMES):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (256, 256)))
        frames.append(Frame(path, number in (2, 3), (), ()))
    return Video("v", "val", POSETRACK_JOINTS, tuple(frames), None)


@pytest.fixture(scope="module")
def network(model: Model) -> PoseDetector:
    torch.manual_seed(0)
    detector = PoseDetector(model, pairs=True).eval()
    assert detector.offsets is not None
    for weight in detector.offsets.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    return detector


class CountingBackbone(torch.nn.Module):
    def __init__(self, backbone: torch.nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.frames = 0

    def forward(self, frames: torch.Tensor) -> list[torch.Tensor]:
        self.frames += len(frames)
        return self.backbone(frames)


@pytest.mark.usefixtures("in_float32")
@torch.inference_mode()
def test_the_sweep_gives_what_the_whole_detector_gives_pair_by_pair(model, video, network):
    pairs = pair_index([video], {"val": (-5, -1, 0, 2, 4)})
    table = predict(network, [video], pairs, model, batch_size=4)
    for row in pairs.itertuples():
        frames, sizes, scale = load_frames(video, [row.frame_a, row.frame_b], model)
        assert scale == 0.5
        inputs = as_input(frames, torch.device("cpu"))
        features = network.resampled(*both_frames(network.backbone, inputs[:1], inputs[1:]))
        (expected,) = network.detect(features, sizes[:1])
        found = table[(table["frame"] == row.frame_a) & (table["delta"] == row.delta)]
        assert len(found) == len(expected["scores"]) > 0
        np.testing.assert_allclose(found["score"], expected["scores"], rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(np.stack(found["box"].to_list()), expected["boxes"] / scale, rtol=1e-3, atol=0.05)
        joints = np.stack(found["joints"].to_list()).reshape(-1, 17, 2)
        in_file = (expected["keypoints"][..., :2] + 0.5) / scale - 0.5
        assert np.median(np.abs(joints - in_file.numpy())) < 0.05  # a heat map's peak may tip to another cell


def test_every_frame_passes_the_backbone_once(model, video, network):
    pairs = pair_index([video], {"val": tuple(range(-10, 11))})
    counting = CountingBackbone(network.backbone)
    network.backbone = counting  # type: ignore[assignment]
    try:
        predict(network, [video], pairs, model, batch_size=3)
    finally:
        network.backbone = counting.backbone  # type: ignore[assignment]
    assert counting.frames == FRAMES


def test_clamped_gaps_repeat_the_pair_at_the_end_of_the_clip(model, video, network):
    pairs = pair_index([video], {"val": (3, 4, 10)})
    table = predict(network, [video], pairs, model, batch_size=4)
    first, second = (table[(table["frame"] == 3) & (table["delta"] == delta)] for delta in (4, 10))
    assert np.array_equal(np.stack(first["joints"].to_list()), np.stack(second["joints"].to_list()))
    assert list(table["delta"].unique()) == [3, 4, 10]


def test_the_single_frame_detector_sees_every_frame(model, video):
    torch.manual_seed(0)
    pairs = pair_index([video], {"val": (0, 5)})
    wanted = every_frame(pairs, [video])
    assert wanted["frame_b"].tolist() == list(range(FRAMES))
    table = predict(PoseDetector(model, pairs=False), [video], wanted, model, batch_size=4)
    assert set(table["frame"]) == set(range(FRAMES))
    assert table["joints"].map(len).eq(34).all()


def test_frames_of_another_size_are_refused_by_name(model, video, network, tmp_path):
    cv2.imwrite(str(tmp_path / "narrow.png"), np.zeros((256, 128, 3), np.uint8))
    odd = replace(video, frames=(*video.frames[:5], replace(video.frames[5], path=tmp_path / "narrow.png")))
    with pytest.raises(DatasetError, match=r"v: frames .* differ in size"):
        predict(network, [odd], pair_index([odd], {"val": (0, 3)}), model, batch_size=2)


def test_a_table_without_people_keeps_its_columns(model, video, network):
    blind = model.model_copy(update={"score_threshold": 0.999})
    torch.manual_seed(0)
    table = predict(PoseDetector(blind, pairs=True), [video], pair_index([video], {"val": (0,)}), blind, 4)
    assert len(table) == 0
    assert list(table.columns) == ["video", "frame", "delta", "score", "box", "joints", "joint_scores"]
