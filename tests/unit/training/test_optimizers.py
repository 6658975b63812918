from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dimofs.actions.ablations import find_training, read_columns
from dimofs.actions.train import build_localizer
from dimofs.config import Training, load_config
from dimofs.model.pose_detector import PoseDetector
from dimofs.training.optimizers import OUTPUTS, Muon, build_optimizers

TRAINING = Training(
    steps=30, batch_size=4, optimizer="muon", learning_rate=0.01, weight_decay=0.1, warmup_steps=5, schedule="cosine",
    milestones=(), clip_norm=1.0, checkpoint_every=7, validate_every=10, threads=1,
)  # fmt: skip


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1), nn.Flatten(), nn.Linear(36, 5))


def step(net: nn.Sequential, optimizers: list[torch.optim.Optimizer]) -> None:
    net.zero_grad()
    net(torch.randn(6, 3, 5, 5, generator=torch.Generator().manual_seed(1))).square().sum().backward()
    for optimizer in optimizers:
        optimizer.step()


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
def test_every_weight_moves_and_only_matrices_decay(optimizer):
    net = network()
    before = [weight.clone() for weight in net.parameters()]
    optimizers = build_optimizers(net, TRAINING.model_copy(update={"optimizer": optimizer}))
    step(net, optimizers)
    for weight, old in zip(net.parameters(), before, strict=True):
        assert not torch.equal(weight, old)
    for group in (group for each in optimizers for group in each.param_groups if group["params"]):
        assert group["weight_decay"] == (0.1 if group["params"][0].ndim > 1 else 0)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
def test_weights_without_a_gradient_stay(optimizer):
    net = network()
    net[0].requires_grad_(False)
    optimizers = build_optimizers(net, TRAINING.model_copy(update={"optimizer": optimizer}))
    net[4].weight.grad = None
    before = {name: weight.clone() for name, weight in net.named_parameters()}
    net.zero_grad()
    net[2](torch.ones(1, 8, 2, 2)).sum().backward()
    for each in optimizers:
        each.step()
    moved = {name for name, weight in net.named_parameters() if not torch.equal(weight, before[name])}
    assert moved == {"2.weight", "2.bias"}


def test_a_convolution_is_the_matrix_of_its_filters():
    """The same steps as torch's own Muon takes with a matrix, whatever the order of the gradient in memory."""
    weight = nn.Parameter(torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0)))
    matrix = nn.Parameter(weight.detach().flatten(1).clone())
    ours = Muon([weight], 0.02, 0.1)
    theirs = torch.optim.Muon([matrix], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for seed in range(3):
        gradient = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(seed))
        weight.grad = gradient.contiguous(memory_format=torch.channels_last)
        matrix.grad = gradient.flatten(1)
        ours.step()
        theirs.step()
    assert torch.equal(weight.flatten(1), matrix)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99), st.floats(1e-3, 1e3))
def test_steps_have_one_size_whatever_the_gradient(rows, columns, seed, size):
    """All singular values of a first step are near one; the gradient's size does not matter (Jordan et al. 2024)."""
    weight = nn.Parameter(torch.zeros(rows, columns))
    weight.grad = size * torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    strength = torch.linalg.svdvals(weight.grad)
    Muon([weight], 1.0, 0.0).step()
    values = torch.linalg.svdvals(weight) / (0.2 * max(rows, columns) ** 0.5)
    assert (values < 1.4).all()
    assert (values[strength > 0.05 * strength.max()] > 0.4).all()


def test_the_layout_in_memory_does_not_matter():
    plain = nn.Parameter(torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0)))
    last = nn.Parameter(plain.detach().clone().contiguous(memory_format=torch.channels_last))
    for weight in (plain, last):
        weight.grad = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(1))
        Muon([weight], 0.1, 0.0).step()
    assert torch.equal(plain, last)
    assert last.is_contiguous(memory_format=torch.channels_last)


@given(st.floats(1e-6, 1e6))
def test_layers_of_logits_and_coordinates_are_not_moved_by_muon(size):
    """Their steps are AdamW's, as long as its rate at first; hidden layers are moved by Muon."""
    torch.manual_seed(0)
    net = nn.ModuleDict({"fc6": nn.Linear(5, 4), "cls_score": nn.Linear(5, 4)})
    muon, adam = build_optimizers(net, TRAINING.model_copy(update={"weight_decay": 0.0}))
    assert isinstance(muon, Muon)
    assert [group["params"] for group in adam.param_groups] == [
        [net["cls_score"].weight], [net["fc6"].bias, net["cls_score"].bias]
    ]  # fmt: skip
    before = net["cls_score"].weight.detach().clone()
    net["cls_score"].weight.grad = torch.full((4, 5), size)
    adam.step()
    torch.testing.assert_close(before - net["cls_score"].weight, torch.full((4, 5), 0.01), rtol=0.02, atol=1e-5)


def test_the_output_layers_of_our_networks_are_known():
    config = load_config(Path(__file__).parents[3] / "config/config.yaml")
    plan = find_training(read_columns(Path(__file__).parents[3] / "config/ablations.tsv"), "dimofs")
    for net in (PoseDetector(config.model, pairs=True), build_localizer(config, plan, None)):
        last = {name.split(".")[-2] for name, weight in net.named_parameters() if weight.ndim > 1}
        heads = {name.split(".")[-2] for name, _ in net.named_parameters() if "predictor." in name or "bbox" in name}
        assert heads <= set(OUTPUTS) & last
