"""The networks of others: shapes, what order of frames means to them, and what they can start from."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import resnet50
from torchvision.models.video import r2plus1d_18

from dimofs.config import load_config
from dimofs.model.backbone import Backbone
from dimofs.model.video_networks import (
    CLIP_MEAN,
    CLIP_STD,
    FLOW_STD,
    NO_MOTION,
    RELATIONS,
    ClipNetwork,
    FrameNetwork,
    RelationNetwork,
    SegmentNetwork,
    full_clip_network,
    small_c3d,
    small_r2plus1d,
)
from dimofs.training.checkpoint import save_checkpoint, start_from

MODEL = load_config(Path(__file__).parents[3] / "scenarios/smoke/config/config.yaml").model
CLASSES = 5


def networks() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {
        "tsn": SegmentNetwork(MODEL, CLASSES, 0.5),
        "trn": RelationNetwork(MODEL, CLASSES, 0.5, segments=4),
        "c3d": ClipNetwork(*small_c3d(4), CLASSES, 0.5),
        "r2plus1d": ClipNetwork(*small_r2plus1d(4), CLASSES, 0.5),
    }


def clips(frames: int) -> torch.Tensor:
    return torch.rand(2, frames, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ["tsn", "trn", "c3d", "r2plus1d"])
def test_every_network_gives_finite_logits_and_gradients(name: str) -> None:
    network = networks()[name]
    logits = network(clips(8 if name in ("c3d", "r2plus1d") else 4))
    assert logits.shape == (2, CLASSES)
    logits.square().sum().backward()
    gradients = [weight.grad for weight in network.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize(("name", "ordered"), [("tsn", False), ("trn", True), ("c3d", True), ("r2plus1d", True)])
def test_only_tsn_does_not_see_the_order_of_frames(name: str, ordered: bool) -> None:
    network = networks()[name].eval()
    seen = clips(8 if name in ("c3d", "r2plus1d") else 4)
    same = torch.allclose(network(seen), network(seen.flip(1)), atol=1e-6)
    assert same is not ordered


def test_tsn_is_the_mean_of_what_it_says_of_single_frames() -> None:
    network = networks()["tsn"].eval()
    seen = clips(3)
    alone = torch.stack([network(seen[:, [frame]]) for frame in range(3)])
    torch.testing.assert_close(network(seen), alone.mean(0))


def test_relations_are_of_every_length_and_drawn_in_training_alone() -> None:
    network = networks()["trn"]
    assert [len(tuples) for tuples in network.tuples] == [6, 4, 1]
    network.project[0].p = 0.0
    seen = clips(4)
    network.backbone.eval()
    assert not torch.equal(network(seen), network(seen))
    network.eval()
    assert torch.equal(network(seen), network(seen))


def test_the_small_frame_network_starts_from_a_detector(tmp_path: Path) -> None:
    backbone = Backbone(MODEL, live_norm=True)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
    path = tmp_path / "still.safetensors"
    save_checkpoint(path, {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}, {})
    network = networks()["tsn"].eval()
    start_from(network, path, parts=("backbone.body.",))
    frames = clips(1)[:, 0]
    expected = backbone.eval().body((frames - backbone.mean) / backbone.std)["3"].mean((2, 3))
    torch.testing.assert_close(network.backbone(network.colours(frames)), expected)


def test_of_the_normalisations_only_the_first_learns_its_statistics() -> None:
    network = FrameNetwork(MODEL)
    live = [name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert live == ["body.bn1"]


def test_a_stream_of_flow_starts_from_the_mean_filter() -> None:
    network = networks()["tsn"].eval()
    colours = network.backbone.body["conv1"].weight.detach().clone()
    network.see_flow(4)
    weight = network.backbone.body["conv1"].weight
    assert weight.shape[1] == 4
    torch.testing.assert_close(weight, colours.mean(1, keepdim=True).expand_as(weight))
    nothing_moves = torch.full((1, 2, 4, 32, 32), NO_MOTION)
    assert network.colours(nothing_moves).abs().max() < 1e-6


def test_full_networks_take_the_names_of_torchvision() -> None:
    with torch.device("meta"):
        backbone, features = full_clip_network("r2plus1d_18")
        frames = FrameNetwork(None)
        clip_names, frame_names = r2plus1d_18().state_dict().keys(), resnet50().state_dict().keys()
    assert features == 512
    assert backbone.state_dict().keys() == {name for name in clip_names if not name.startswith("fc.")}
    assert frames.body.state_dict().keys() <= frame_names


@pytest.mark.parametrize("name", ["c3d", "r2plus1d"])
def test_clips_are_not_computed_in_bfloat16_on_a_cpu(name: str) -> None:
    """Some of its gradients are wrong there, other ones every time."""
    network = networks()[name].eval()
    seen = clips(8)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = network(seen)
    assert torch.equal(mixed, network(seen))


def test_clips_have_the_colours_of_kinetics_and_flow_its_own_deviation() -> None:
    """torchvision's weights of Kinetics expect the former."""
    network = networks()["r2plus1d"]
    assert isinstance(network, ClipNetwork)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    torch.testing.assert_close(
        network.colours((mean + 2 * std).expand(1, 4, 3, 2, 2)), torch.full((1, 4, 3, 2, 2), 2.0)
    )
    flow = networks()["tsn"]
    assert isinstance(flow, SegmentNetwork)
    flow.see_flow(4)
    torch.testing.assert_close(flow.colours(torch.full((4, 1, 1), NO_MOTION + FLOW_STD)), torch.ones(4, 1, 1))


def test_in_prediction_evenly_spaced_tuples_in_the_order_of_time_are_summed() -> None:
    network = networks()["trn"].eval()
    assert isinstance(network, RelationNetwork)
    seen = clips(4)
    features = network.project(network.backbone(network.colours(seen).flatten(0, 1))).unflatten(0, (2, 4))
    chosen = [[(0, 1), (0, 3), (2, 3)], [(0, 1, 2), (0, 1, 3), (1, 2, 3)], [(0, 1, 2, 3)]]
    assert max(map(len, chosen)) == RELATIONS
    expected = sum(
        relation(torch.cat([features[:, frame] for frame in frames], dim=1))
        for relation, tuples in zip(network.relations, chosen, strict=True)
        for frames in tuples
    )
    torch.testing.assert_close(network(seen), expected)
