from pathlib import Path

import pytest
import torch
from torchvision.ops import FrozenBatchNorm2d

from dimofs.config import Model, load_config
from dimofs.model.backbone import FrozenNorm
from dimofs.model.offsets import Offsets, Resampling
from dimofs.model.pose_detector import PoseDetector
from dimofs.training.checkpoint import save_checkpoint, start_from

ROOT = Path(__file__).parents[3]
SIZES = [(64, 96)] * 2


@pytest.fixture(scope="module")
def model() -> Model:
    small = {"small_width": 8, "fpn_channels": 8, "box_features": 16, "keypoint_layers": (8,), "score_threshold": 0.0}
    small |= {"anchors_per_image": 4096}  # all of them, so that every scale has a part in the loss
    return load_config(ROOT / "config/config.yaml").model.model_copy(update=small)


@pytest.fixture
def single_frame(model: Model) -> PoseDetector:
    torch.manual_seed(0)
    return PoseDetector(model, pairs=False).eval()


@pytest.fixture
def untrained_pairs(model: Model, single_frame: PoseDetector, tmp_path: Path) -> PoseDetector:
    save_checkpoint(tmp_path / "single.safetensors", single_frame.state_dict(), {})
    network = PoseDetector(model, pairs=True)
    start_from(network, tmp_path / "single.safetensors", parts=("backbone.", "rpn.", "roi_heads."))
    return network.eval()


def frames(seed: int) -> torch.Tensor:
    return torch.rand((2, 3, 64, 96), generator=torch.Generator().manual_seed(seed))


def same(first: list[dict[str, torch.Tensor]], second: list[dict[str, torch.Tensor]]) -> bool:
    return all(torch.equal(a[key], b[key]) for a, b in zip(first, second, strict=True) for key in a)


def labels() -> list[dict[str, torch.Tensor]]:
    keypoints = torch.rand((1, 17, 3), generator=torch.Generator().manual_seed(3)) * 20 + 20
    keypoints[..., 2] = 1
    one = {"boxes": torch.tensor([[18.0, 18.0, 42.0, 42.0]]), "labels": torch.ones(1, dtype=torch.long)}
    nobody = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.long),
        "keypoints": torch.zeros(0, 17, 3),
    }
    return [{**one, "keypoints": keypoints}, nobody]


@torch.inference_mode()
def test_untrained_at_delta_zero_is_the_single_frame_detector(single_frame, untrained_pairs):
    features = single_frame.backbone(frames(1))
    expected = single_frame.detect(features, SIZES)
    assert len(expected[0]["scores"]) > 0
    assert same(expected, untrained_pairs.detect(untrained_pairs.resampled(features, features), SIZES))


@torch.inference_mode()
def test_untrained_on_a_pair_is_the_single_frame_detector_on_frame_b(single_frame, untrained_pairs):
    features_a, features_b = (untrained_pairs.backbone(frames(seed)) for seed in (1, 2))
    expected = single_frame.detect(single_frame.backbone(frames(2)), SIZES)
    assert same(expected, untrained_pairs.detect(untrained_pairs.resampled(features_a, features_b), SIZES))


def test_untrained_losses_of_a_pair_are_those_of_the_single_frame_detector_on_frame_b(single_frame, untrained_pairs):
    """And so those of Frame A's labels in Frame B's features, not the other way round."""
    losses = []
    for network, frames_a, frames_b in (
        (single_frame, frames(2), None),
        (untrained_pairs, frames(1), frames(2)),
        (single_frame, frames(1), None),
    ):
        torch.manual_seed(0)
        losses.append(network.train().losses(frames_a, frames_b, SIZES, labels()))
    for name, loss in losses[0].items():
        torch.testing.assert_close(losses[1][name], loss, rtol=1e-4, atol=1e-6)
    assert max(abs(losses[2][name] - loss) for name, loss in losses[0].items()) > 1e-3


@torch.inference_mode()
def test_same_frame_twice_gives_zero_offsets_whatever_the_weights(untrained_pairs):
    for predictor in untrained_pairs.offsets.predictors:
        torch.nn.init.normal_(predictor.weight)
    features = untrained_pairs.backbone(frames(1))
    copies = [level.clone() for level in features]
    assert all((level == 0).all() for level in untrained_pairs.offsets(features, copies))
    by_the_way_of_offsets = untrained_pairs.resampled(features, copies)
    without = untrained_pairs.resampled(features, features)
    assert all(torch.equal(a, b) for a, b in zip(by_the_way_of_offsets, without, strict=True))


def test_the_papers_size_has_2048_offset_channels():
    features = [torch.zeros(1, 256, side, side) for side in (8, 4, 2, 1)]
    offsets = Offsets(256)(features, features)
    assert [level.shape[1] for level in offsets] == [512] * 4


def test_every_trainable_part_gets_a_gradient_from_pairs(model):
    torch.manual_seed(0)
    network = PoseDetector(model, pairs=True).train()
    for predictor in network.offsets.predictors:
        torch.nn.init.normal_(predictor.weight, std=0.01)
    losses = network.losses(frames(1), frames(2), SIZES, labels())
    assert set(losses) == {
        "loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_keypoint",
    }  # fmt: skip
    torch.stack(list(losses.values())).sum().backward()
    trained = [(name, weight) for name, weight in network.named_parameters() if weight.requires_grad]
    silent = [name for name, weight in trained if weight.grad is None or not weight.grad.any()]
    assert not silent


def test_offsets_computed_twice_teach_the_same(model):
    gradients = []
    for twice in (False, True):
        torch.manual_seed(0)
        network = PoseDetector(model, pairs=True, recompute_offsets=twice).train()
        for predictor in network.offsets.predictors:
            torch.nn.init.normal_(predictor.weight, std=0.01)
        torch.manual_seed(1)
        losses = network.losses(frames(1), frames(2), SIZES, labels())
        torch.stack(list(losses.values())).sum().backward()
        gradients.append([weight.grad for weight in network.parameters() if weight.requires_grad])
    assert all(torch.equal(kept, again) for kept, again in zip(*gradients, strict=True))


def test_offsets_computed_twice_are_not_kept(model):
    """Between forward and backward autograd holds fewer values: neither offsets nor sampled features."""

    def held(twice: bool) -> int:
        torch.manual_seed(0)
        network = PoseDetector(model, pairs=True, recompute_offsets=twice).train()
        features = [[level.detach().requires_grad_() for level in network.backbone(frames(seed))] for seed in (1, 2)]
        kept: dict[int, int] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            network.resampled(*features)
        given = {level.untyped_storage().data_ptr() for frame in features for level in frame}
        given |= {weight.untyped_storage().data_ptr() for weight in network.parameters()}
        return sum(size for place, size in kept.items() if place not in given)

    assert held(twice=False) > 0
    assert held(twice=True) == 0


@pytest.mark.parametrize(
    ("stages", "frozen"), [(0, set()), (1, {"conv1", "layer1"}), (2, {"conv1", "layer1", "layer2"})]
)
def test_frozen_stages_take_the_stem_with_them(model, stages, frozen):
    network = PoseDetector(model, pairs=False)
    network.backbone.freeze(stages)
    body = network.backbone.body.named_parameters()
    still = {name.partition(".")[0] for name, weight in body if not weight.requires_grad}
    assert still == frozen


def test_the_keypoint_loss_does_not_see_the_bias_that_is_kept_from_learning(model):
    found = []
    for bias in (0.0, 5.0):
        torch.manual_seed(0)
        network = PoseDetector(model, pairs=False).train()
        frozen = [name for name, weight in network.named_parameters() if not weight.requires_grad]
        assert frozen == ["roi_heads.keypoint_predictor.kps_score_lowres.bias"]
        torch.nn.init.constant_(network.roi_heads.keypoint_predictor.kps_score_lowres.bias, bias)
        torch.manual_seed(1)
        found.append(network.losses(frames(1), None, SIZES, labels())["loss_keypoint"].item())
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_offsets_learn_a_translation():
    """Frame B is Frame A moved by (dx, dy) = (2, −1); the loss asks for A's features: the offsets must find it."""
    torch.manual_seed(0)
    channels = 4
    base = torch.nn.functional.interpolate(
        torch.rand(8, channels, 10, 10), (32, 32), mode="bicubic", align_corners=True
    )
    ramp = torch.linspace(-2, 2, 32)
    base[:, 0], base[:, 1] = ramp[None, None, :] + 0 * base[:, 0], ramp[None, :, None] + 0 * base[:, 1]
    moved = torch.roll(base, (-1, 2), (2, 3))
    offsets, resampling = Offsets(channels, scales=1), Resampling(channels, scales=1).requires_grad_(False)
    optimizer = torch.optim.Adam(offsets.parameters(), 0.05)
    inner = (..., slice(6, 26), slice(6, 26))
    for _ in range(150):
        (sampled,) = resampling([moved], offsets([base], [moved]))
        loss = (sampled - base)[inner].square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    (found,) = offsets([base], [moved])
    assert found[:, 1][inner].mean().item() == pytest.approx(2, abs=0.2)  # channel 0 rises with x: its dx counts
    assert found[:, 2][inner].mean().item() == pytest.approx(-1, abs=0.2)  # channel 1 rises with y: its dy counts


def test_a_single_frame_network_says_that_it_has_no_offsets(single_frame):
    with pytest.raises(ValueError, match="pairs=True"):
        single_frame.resampled([], [])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_frozen_norm_is_torchvisions_in_the_features_dtype(dtype):
    generator = torch.Generator().manual_seed(5)
    theirs, ours = FrozenBatchNorm2d(6), FrozenNorm(6)
    for name, value in theirs.named_buffers():
        value.copy_(torch.rand(value.shape, generator=generator) + (0.5 if name == "running_var" else -0.5))
    ours.load_state_dict(theirs.state_dict())
    features = torch.randn((2, 6, 5, 4), generator=generator).to(dtype).requires_grad_()
    normalised = ours(features)
    assert normalised.dtype == dtype
    tolerance = 1e-5 if dtype == torch.float32 else 0.03
    torch.testing.assert_close(normalised.float(), theirs(features.float()), rtol=tolerance, atol=tolerance)
    (gradient,) = torch.autograd.grad(normalised.sum(), features)
    scale = theirs.weight * (theirs.running_var + theirs.eps).rsqrt()
    expected = scale.view(1, 6, 1, 1).expand_as(gradient)
    torch.testing.assert_close(gradient.float(), expected, rtol=tolerance, atol=tolerance)


def test_projections_of_two_frames_differ_by_the_offsets_of_the_pair():
    offsets = Offsets(8)
    for predictor in offsets.predictors:
        torch.nn.init.normal_(predictor.weight)
    a, b = ([torch.randn(2, 8, side, side) for side in (8, 4, 2, 1)] for _ in range(2))
    difference = [x - y for x, y in zip(offsets.projections(a), offsets.projections(b), strict=True)]
    for pair, expected in zip(offsets(a, b), difference, strict=True):
        torch.testing.assert_close(pair, expected, rtol=1e-4, atol=1e-4)
