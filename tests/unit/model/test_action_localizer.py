from pathlib import Path

import pytest
import torch

from dimofs.config import Config, load_config
from dimofs.model.action_localizer import MOTION_LEVELS, ActionLocalizer, inflate
from dimofs.model.heads import image_list, pyramid

ROOT = Path(__file__).parents[3]
SIZES = [(64, 64)] * 2
TARGETS = [{"boxes": torch.tensor([[10.0, 10.0, 50.0, 60.0]]), "labels": torch.tensor([3])}] * 2


@pytest.fixture(scope="module")
def config() -> Config:
    config = load_config(ROOT / "config/config.yaml")
    small = {"small_width": 8, "fpn_channels": 8, "score_threshold": 0.0, "anchors_per_image": 4096}
    return config.model_copy(
        update={
            "model": config.model.model_copy(update=small),
            "actions": config.actions.model_copy(update={"mlp_features": 16}),
        }
    )


def build(config: Config, motion: str, *, inflated: bool = False) -> ActionLocalizer:
    torch.manual_seed(0)
    network = ActionLocalizer(config.model, config.actions, 21, motion=motion, inflated=inflated)
    if network.offsets is not None:
        for predictor in network.offsets.predictors:
            torch.nn.init.normal_(predictor.weight, std=0.05)
    if inflated:
        inflate(network.backbone)
    return network


def frames(seed: int) -> torch.Tensor:
    return torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(seed))


def flow() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(9)
    return [torch.randn((2, 2, 64 // stride, 64 // stride), generator=generator) for stride in (4, 8, 16, 32)]


@pytest.mark.parametrize(
    ("motion", "inflated", "seen"),
    [("offsets", False, (1, 2)), ("flow", False, (1,)), ("none", False, (1,)), ("none", True, (1, 2, 3))],
)
def test_every_trainable_part_learns_in_every_column(config, motion, inflated, seen):
    network = build(config, motion, inflated=inflated).train()
    losses = network.losses(tuple(map(frames, seen)), flow() if motion == "flow" else None, SIZES, TARGETS)
    torch.stack(list(losses.values())).sum().backward()
    silent = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    # offsets of scales that no RoI is assigned to get no gradient at this size: all people lie on P2
    assert not [name for name in silent if not name.startswith("offsets.predictors.")]
    assert "offsets.predictors.0.weight" not in silent


def test_a_pair_is_learned_from_frame_a_and_from_what_moves_to_frame_b(config):
    """Where proposals do not learn, the losses are those of boxes found in Frame A with the offsets from A to B."""
    network = build(config, "offsets").eval()
    for part in (network.backbone, network.resampling, network.rpn):
        part.requires_grad_(False)
    network.train()
    torch.manual_seed(0)
    found = network.losses((frames(1), frames(2)), None, SIZES, TARGETS)
    features_a, features_b = (network.backbone(frames(seed)) for seed in (1, 2))
    levels = pyramid(network.resampling(features_a, None))
    motion = network.motion(features_a, features_b)
    torch.manual_seed(0)
    proposals, _ = network.rpn(image_list(features_a, SIZES), levels)
    _, expected = network.roi_heads(levels | dict(zip(MOTION_LEVELS, motion, strict=True)), proposals, SIZES, TARGETS)
    torch.testing.assert_close(found["loss_classifier"], expected["loss_classifier"])
    torch.manual_seed(0)
    swapped = network.losses((frames(2), frames(1)), None, SIZES, TARGETS)
    assert abs(swapped["loss_classifier"] - found["loss_classifier"]) > 1e-4


@torch.inference_mode()
def test_what_is_shared_over_delta_gives_the_detections_of_the_whole_network(config):
    network = build(config, "offsets").eval()
    features_a, features_b = (network.backbone(frames(seed)) for seed in (1, 2))
    motion = network.motion(features_a, features_b)
    proposals, appearance = network.propose(features_a, SIZES)
    found = network.classify(proposals, appearance, motion, SIZES)
    levels = pyramid(features_a) | dict(zip(MOTION_LEVELS, motion, strict=True))
    expected, _ = network.roi_heads(levels, proposals, SIZES)
    assert len(found[0]["scores"]) > 0
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a["boxes"], b["boxes"])
        torch.testing.assert_close(a["scores"], b["scores"])
        assert torch.equal(a["labels"], b["labels"])


@torch.inference_mode()
def test_activations_are_the_class_probabilities_of_separate_people(config):
    network = build(config, "none").eval()
    boxes = torch.tensor([[0.0, 0, 20, 20], [1, 0, 21, 20], [40, 40, 60, 60], [0, 40, 20, 60]])
    logits = torch.full((4, 22), -9.0)
    logits[0, [0, 3]] = torch.tensor([0.0, 0.0])  # half background; hides behind the next
    logits[1, [0, 3, 4]] = torch.tensor([0.0, 1.0, 1.0])
    logits[2, 5] = 9.0  # a sure person elsewhere
    logits[3, [0, 6]] = torch.tensor([3.0, 0.0])  # likelier background than the threshold allows
    network._predict = lambda *_: (torch.cat([logits, logits[2:3]]), torch.zeros(5, 88))
    found = network.activations([boxes, boxes[:1]], [], [], SIZES, threshold=0.3)
    probabilities = logits.softmax(-1)[:, 1:]
    torch.testing.assert_close(found[0], probabilities[1] + probabilities[2])
    torch.testing.assert_close(found[1], probabilities[2])
    assert network.activations([boxes, boxes[:1]], [], [], SIZES, threshold=1.01).sum() == 0


@torch.inference_mode()
def test_a_fresh_inflation_is_the_flat_backbone_on_the_middle_frame(config):
    flat = build(config, "none").eval()
    expected = flat.backbone(frames(1))
    inflated = build(config, "none", inflated=True).eval()
    for found, level in zip(inflated.encode((frames(1), frames(2), frames(3))), expected, strict=True):
        torch.testing.assert_close(found, level, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_offsets_by_stride_are_in_frame_pixels(config):
    scaled = config.actions.model_copy(update={"scale_offsets_by_stride": True})
    network = build(config, "offsets").eval()
    twin = build(config.model_copy(update={"actions": scaled}), "offsets").eval()
    features = [network.backbone(frames(seed)) for seed in (1, 2)]
    for level, raw, stride in zip(twin.motion(*features), network.motion(*features), (4, 8, 16, 32), strict=True):
        torch.testing.assert_close(level, raw * stride)


def test_a_localiser_without_offsets_says_so(config):
    with pytest.raises(ValueError, match="no offset predictors"):
        build(config, "none").motion([], [])


def test_the_localiser_has_settings_of_its_own_beside_those_of_the_detector(config):
    own = {"nms_threshold": 0.125, "score_threshold": 0.0625, "positive_fraction": 0.75, "proposals_test": 3}
    network = build(config.model_copy(update={"actions": config.actions.model_copy(update=own)}), "none").eval()
    assert (network.roi_heads.nms_thresh, network.roi_heads.score_thresh) == (0.125, 0.0625)
    assert network.roi_heads.detections_per_img == 3 * 21  # every class of every proposal
    assert network.roi_heads.fg_bg_sampler.positive_fraction == 0.75
    with torch.inference_mode():
        proposals, _ = network.propose(network.encode((frames(1),)), SIZES)
    assert [len(boxes) for boxes in proposals] == [3, 3]


def test_the_loss_of_boxes_has_its_weight(config):
    found = []
    for weight in (1.0, 0.25):
        actions = config.actions.model_copy(update={"box_loss_weight": weight})
        network = build(config.model_copy(update={"actions": actions}), "none").train()
        torch.manual_seed(1)
        found.append(network.losses((frames(1),), None, SIZES, TARGETS))
    one, quarter = found
    assert one["loss_box_reg"] > 0
    torch.testing.assert_close(quarter.pop("loss_box_reg"), one.pop("loss_box_reg") / 4)
    torch.testing.assert_close(quarter, one)


def test_proposals_are_those_of_evaluation_only_where_nothing_behind_them_learns(config):
    """The inflated column: its RPN is frozen, but the features that it sees move."""
    network = build(config, "none")
    network.rpn.requires_grad_(False)
    network.resampling.requires_grad_(False)
    assert network.train().rpn.training
    network.backbone.requires_grad_(False)
    assert not network.train().rpn.training
    assert network.roi_heads.training


@torch.inference_mode()
def test_a_fresh_inflation_of_bottlenecks_is_the_flat_backbone_too(config):
    deep = config.model_copy(update={"model": config.model.model_copy(update={"backbone": "resnet50"})})
    expected = build(deep, "none").eval().backbone(frames(1))
    inflated = build(deep, "none", inflated=True).eval()
    for found, level in zip(inflated.encode((frames(1), frames(2), frames(3))), expected, strict=True):
        torch.testing.assert_close(found, level, rtol=1e-3, atol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("by_stride", [False, True])
def test_the_maps_of_a_pair_are_the_difference_of_its_projections(config, by_stride):
    actions = config.actions.model_copy(update={"scale_offsets_by_stride": by_stride})
    network = build(config.model_copy(update={"actions": actions}), "offsets").eval()
    features = [network.backbone(frames(seed)) for seed in (1, 2)]
    for level, a, b in zip(network.motion(*features), *map(network.projections, features), strict=True):
        torch.testing.assert_close(a - b, level, rtol=1e-4, atol=1e-4)
