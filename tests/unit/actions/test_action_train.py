from pathlib import Path

import pytest
import torch

from dimofs.actions.ablations import ActionTraining
from dimofs.actions.train import build_localizer
from dimofs.config import load_config

ROOT = Path(__file__).parents[3]
SIZES = [(64, 64)] * 2
TARGETS = [{"boxes": torch.tensor([[10.0, 10.0, 50.0, 60.0]]), "labels": torch.tensor([3])}] * 2


def learning(plan, train_detector):
    """The parts that get a gradient from one batch, and the losses' names."""
    config = load_config(ROOT / "config/config.yaml")
    small = config.model.model_copy(update={"small_width": 8, "fpn_channels": 8})
    actions = config.actions.model_copy(update={"mlp_features": 16, "train_detector": train_detector})
    torch.manual_seed(0)
    network = build_localizer(config.model_copy(update={"model": small, "actions": actions}), plan, None).train()
    frames = tuple(torch.rand((2, 3, 64, 64)) for _ in range(3 if plan.inflated_3d else 2))
    losses = network.losses(frames, None, SIZES, TARGETS)
    torch.stack(list(losses.values())).sum().backward()
    return {name.split(".")[0] for name, weight in network.named_parameters() if weight.grad is not None}, set(losses)


PAIRS = ActionTraining("dimofs", "dimofs", "offsets", train_offsets=True, inflated_3d=False)
FROZEN = ActionTraining("control_frozen", "still", "offsets", train_offsets=False, inflated_3d=False)
INFLATED = ActionTraining("inflated", "still", "none", train_offsets=False, inflated_3d=True)
HEADS = {"loss_classifier", "loss_box_reg"}
PROPOSALS = {"loss_objectness", "loss_rpn_box_reg"}


@pytest.mark.parametrize(
    ("plan", "train_detector", "parts", "losses"),
    [
        (PAIRS, False, {"offsets", "roi_heads"}, HEADS),
        (PAIRS, True, {"backbone", "rpn", "resampling", "offsets", "roi_heads"}, HEADS | PROPOSALS),
        (FROZEN, False, {"roi_heads"}, HEADS),
        (INFLATED, False, {"backbone", "roi_heads"}, HEADS | PROPOSALS),
        (INFLATED, True, {"backbone", "rpn", "resampling", "roi_heads"}, HEADS | PROPOSALS),
    ],
)
def test_what_learns_from_the_actions(plan, train_detector, parts, losses):
    assert learning(plan, train_detector) == (parts, losses)
