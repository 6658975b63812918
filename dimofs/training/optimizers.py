"""What moves the weights (A13): SGD with momentum, AdamW, or Muon with AdamW for what is no hidden matrix."""

from collections.abc import Callable
from typing import Any, overload

import torch
from torch import nn

from dimofs.config import Training

#: Layers whose outputs are logits or coordinates, by the last part of their names. Muon is for hidden layers: it makes
#: as long a step where a gradient is noise, and of a heat map's logits the loss sees differences alone.
OUTPUTS = ("cls_logits", "bbox_pred", "cls_score", "kps_score_lowres")


class Muon(torch.optim.Muon):
    """torch's Muon for weights of any number of dimensions.

    Muon moves a matrix by its momentum, made orthogonal (Jordan et al. 2024). A convolution is the matrix
    (outputs, inputs × kernel) whose rows are its filters. Steps have the root mean square that AdamW's usually have, so
    that one learning rate serves both (Liu et al. 2025, arXiv:2502.16982, §2.2).
    """

    def __init__(self, weights: list[nn.Parameter], learning_rate: float, weight_decay: float) -> None:
        """Take weights with two or more dimensions, in any memory layout."""
        self._weights = weights
        matrices = [nn.Parameter(weight.detach().flatten(1).clone()) for weight in weights]
        super().__init__(matrices, learning_rate, weight_decay, adjust_lr_fn="match_rms_adamw")

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move the weights that have a gradient."""
        pairs = list(zip(self._weights, self.param_groups[0]["params"], strict=True))
        for weight, matrix in pairs:
            matrix.copy_(weight.flatten(1))
            matrix.grad = None if weight.grad is None else weight.grad.flatten(1)
        result = super().step(closure)
        for weight, matrix in pairs:
            weight.copy_(matrix.view_as(weight))
        return result


def build_optimizers(network: nn.Module, training: Training) -> list[torch.optim.Optimizer]:
    """Build what together optimises the weights that train; biases and normalisation do not decay.

    Gradients are the network's to clear: `network.zero_grad()`.
    """
    weights = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    matrices = {name: weight for name, weight in weights.items() if weight.ndim > 1}
    vectors = {"params": [weight for weight in weights.values() if weight.ndim <= 1], "weight_decay": 0.0}
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimizer == "muon":
        outputs = [weight for name, weight in matrices.items() if name.split(".")[-2] in OUTPUTS]
        hidden = [weight for name, weight in matrices.items() if name.split(".")[-2] not in OUTPUTS]
        groups = [{"params": outputs, "weight_decay": decay}, vectors]
        return [Muon(hidden, rate, decay), torch.optim.AdamW(groups, lr=rate)]
    groups = [{"params": list(matrices.values()), "weight_decay": decay}, vectors]
    if training.optimizer == "sgd":
        return [torch.optim.SGD(groups, lr=rate, momentum=0.9)]
    return [torch.optim.AdamW(groups, lr=rate)]
