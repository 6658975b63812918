"""Small videos of rendered people, and a small network with weights at random."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from dimofs.config import Model, load_config
from dimofs.datasets.synthetic.render import render
from dimofs.datasets.synthetic.scene import Framing, random_scene
from dimofs.model.pose_detector import PoseDetector
from dimofs.training.checkpoint import save_checkpoint

Frames = Sequence[np.ndarray]


@pytest.fixture(scope="session")
def frames() -> list[np.ndarray]:
    """Twenty-three frames of two people, (64, 96, 3) uint8 RGB: no whole number of batches."""
    rng = np.random.default_rng(0)
    clip = render(random_scene(rng, Framing(23, 96, ("walk", "jumping_jack"))), rng)
    return [np.ascontiguousarray(frame[16:80, :, ::-1]) for frame in clip.frames]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory, encode: Callable[..., Path], frames: Frames) -> Path:
    return encode(tmp_path_factory.mktemp("clip") / "walk.mp4", frames)


@pytest.fixture(scope="session")
def model() -> Model:
    small = {"small_width": 8, "fpn_channels": 8, "box_features": 16, "keypoint_layers": (8,), "score_threshold": 0.0}
    small |= {"proposals_test": 6, "detections_per_image": 3, "image_size": 64, "image_max_size": 96}
    return load_config(Path(__file__).parents[3] / "config/config.yaml").model.model_copy(update=small)


@pytest.fixture(scope="session")
def detector(model: Model) -> PoseDetector:
    """It takes anything for a person, and its offsets are not zero."""
    torch.manual_seed(0)
    detector = PoseDetector(model, pairs=True).eval()
    assert detector.offsets is not None
    for weight in detector.offsets.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    with torch.no_grad():
        detector.roi_heads.box_predictor.cls_score.bias.copy_(torch.tensor([-2.0, 2.0]))
    return detector


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, model: Model, detector: PoseDetector) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "dimofs.safetensors"
    save_checkpoint(path, detector.state_dict(), {"network": "dimofs", "model": model.model_dump(mode="json")})
    return path
