"""Published weights: what they fill, that their hash is checked, and that our network is torchvision's."""

import hashlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torchvision.models.detection import keypointrcnn_resnet50_fpn
from torchvision.ops import FrozenBatchNorm2d

from dimofs.config import Config, ConfigError, check_initial_weights, load_config
from dimofs.model.pose_detector import PoseDetector
from dimofs.pose.initial_weights import PUBLISHED, published_detector
from dimofs.training.checkpoint import CheckpointError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def config() -> Config:
    """The smoke scenario with weights from elsewhere, which the test below publishes."""
    config = load_config(ROOT / "scenarios/smoke/config/config.yaml")
    return config.model_copy(update={"pretrain": config.pretrain.model_copy(update={"initial_weights": "imagenet"})})


@pytest.fixture
def published(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Publish a body of the small backbone on a file address, named after its hash as torchvision's are."""
    torch.manual_seed(5)
    body = PoseDetector(config.model, pairs=False).backbone.body
    file = tmp_path / "weights.pth"
    torch.save({**{name: value + 1 for name, value in body.state_dict().items()}, "fc.weight": torch.ones(2)}, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    file = file.rename(tmp_path / f"small-{digest[:8]}.pth")
    monkeypatch.setitem(PUBLISHED, ("imagenet", "small"), SimpleNamespace(url=file.as_uri()))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return file


def test_imagenet_fills_the_residual_stages_and_nothing_else(config: Config, published: Path) -> None:
    detector, origin = published_detector(config, seed=3)
    given = torch.load(published, weights_only=True)
    own = detector.backbone.body.state_dict()
    assert own.keys() == given.keys() - {"fc.weight"}
    assert all(torch.equal(own[name], given[name]) for name in own)
    torch.manual_seed(3)
    fresh = PoseDetector(config.model, pairs=False)
    assert torch.equal(detector.rpn.head.cls_logits.weight, fresh.rpn.head.cls_logits.weight)
    assert origin["sha256"] == hashlib.sha256(published.read_bytes()).hexdigest()
    assert origin["url"] == published.as_uri()


def test_a_file_of_another_hash_is_refused_fresh_or_cached(config: Config, published: Path, tmp_path: Path) -> None:
    published.write_bytes(published.read_bytes() + b"x")
    with pytest.raises(CheckpointError, match="not the published file"):
        published_detector(config, seed=3)
    cached = tmp_path / "hub/checkpoints" / published.name
    torch.save(torch.load(published, weights_only=True), cached)
    with pytest.raises(CheckpointError, match="has another hash than its name says"):
        published_detector(config, seed=3)


def test_weights_that_cannot_be_had_are_named(config: Config, published: Path) -> None:
    published.unlink()
    with pytest.raises(CheckpointError, match=r"could not be had .*put it there"):
        published_detector(config, seed=3)


def test_weights_of_another_network_are_refused(config: Config, published: Path) -> None:
    wider = config.model_copy(update={"model": config.model.model_copy(update={"small_width": 16})})
    with pytest.raises(CheckpointError, match="does not fit"):
        published_detector(wider, seed=3)


def test_the_keypoint_network_at_the_papers_size_is_torchvisions() -> None:
    """So that its COCO weights load; on the meta device, for it is 240 MB."""
    paper = load_config(ROOT / "scenarios/paper/config/config.yaml").model
    with torch.device("meta"):
        ours = PoseDetector(paper.model_copy(update={"backbone": "resnet50"}), pairs=False)
        theirs = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    shapes = [
        {name: value.shape for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
        for network in (ours, theirs)
    ]
    assert shapes[0] == shapes[1]


def test_coco_weights_compute_here_what_they_compute_in_torchvision(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their frozen normalisation adds nothing to the variance, ours a little; that must not show."""
    torch.manual_seed(5)
    theirs = PoseDetector(config.model, pairs=False).eval()
    for module in theirs.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.eps = 0.0
            torch.nn.init.uniform_(module.running_var, 1e-5, 1e-3)
    file = tmp_path / "weights.pth"
    torch.save(theirs.state_dict(), file)
    file = file.rename(tmp_path / f"small-{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}.pth")
    monkeypatch.setitem(PUBLISHED, ("coco_keypoints", "small"), SimpleNamespace(url=file.as_uri()))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    pretrain = config.pretrain.model_copy(update={"initial_weights": "coco_keypoints"})
    ours, _ = published_detector(config.model_copy(update={"pretrain": pretrain}), seed=3)
    frames = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        for one, other in zip(ours.eval().backbone(frames), theirs.backbone(frames), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * other.abs().max().item())


@pytest.mark.parametrize(
    ("initial", "backbone", "says"),
    [("imagenet", "small", "there are none"), ("coco_keypoints", "resnet101", "of resnet50")],
)
def test_weights_that_nobody_published_are_refused(config: Config, initial: str, backbone: str, says: str) -> None:
    asked = config.model_copy(
        update={
            "pretrain": config.pretrain.model_copy(update={"initial_weights": initial}),
            "model": config.model.model_copy(update={"backbone": backbone}),
        }
    )
    with pytest.raises(ConfigError, match=says):
        check_initial_weights(asked, Path("config.yaml"))
