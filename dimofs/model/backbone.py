"""The backbone (§3): a residual network with a feature pyramid, one shared for Frame A and Frame B."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import resnet
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.resnet import BasicBlock
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d

from dimofs.config import Model

#: Strides of the four scales P2..P5 (A6).
STRIDES = (4, 8, 16, 32)

#: How many scales there are; s = 1..SCALES in the paper.
SCALES = len(STRIDES)

#: Mean and standard deviation of ImageNet's colours, for RGB in [0, 1]; pretrained weights expect them.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)


class FrozenNorm(FrozenBatchNorm2d):
    """torchvision's batch normalisation of fixed statistics and weights, in one pass and in the features' own dtype.

    torchvision's own multiplies by float32 weights, which makes float32 of what a convolution gave in bfloat16.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class SmallResNet(nn.Module):
    """Four residual stages of one block each, strides 4, 8, 16 and 32: a ResNet for frames of 128 pixels on a CPU."""

    def __init__(self, width: int, norm_layer: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 5, stride=2, padding=2, bias=False)
        self.bn1 = norm_layer(width)
        self.relu = nn.ReLU(inplace=True)
        channels = [width, width, 2 * width, 4 * width, 8 * width]
        for stage in range(4):
            inputs, outputs = channels[stage], channels[stage + 1]
            shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=2, bias=False), norm_layer(outputs))
            self.add_module(f"layer{stage + 1}", BasicBlock(inputs, outputs, 2, shortcut, norm_layer=norm_layer))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class Backbone(nn.Module):
    """Frames to the four pyramid scales.

    Batch normalisation learns its statistics only where `live_norm` is set (the still-image initialisation); everything
    that starts from those weights keeps them fixed, as Detect-and-Track does (facts of §3.2).
    """

    def __init__(self, model: Model, *, live_norm: bool) -> None:
        super().__init__()
        norm_layer: Callable[[int], nn.Module] = nn.BatchNorm2d if live_norm else FrozenNorm
        if model.backbone == "small":
            body: nn.Module = SmallResNet(model.small_width, norm_layer)
            widths = [model.small_width * factor for factor in (1, 2, 4, 8)]
        else:
            body = getattr(resnet, model.backbone)(weights=None, norm_layer=norm_layer)
            widths = [256, 512, 1024, 2048]
        self.body = IntermediateLayerGetter(body, {f"layer{stage + 1}": str(stage) for stage in range(4)})
        self.fpn = FeaturePyramidNetwork(widths, model.fpn_channels)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(PIXEL_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(PIXEL_STD).view(3, 1, 1), persistent=False)

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Compute f^(s) for s = 1..4.

        frames: (N, 3, H, W) float RGB in [0, 1], H and W multiples of 32.
        Returns four tensors (N, fpn_channels, H / stride, W / stride), strides 4, 8, 16, 32, channels last in memory,
        in which order convolutions are quicker.
        """
        pixels = ((frames - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        return list(self.fpn(self.body(pixels)).values())

    def freeze(self, stages: int) -> None:
        """Keep the weights of the first residual stages and of the stem before them; 0 keeps none (A11)."""
        kept = ("conv1", "bn1", *(f"layer{stage + 1}" for stage in range(stages))) if stages else ()
        for name in kept:
            self.body[name].requires_grad_(False)


def both_frames(backbone: nn.Module, frames_a: Tensor, frames_b: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Run the shared backbone once over A and B together; returns (f_A, f_B), each per scale (N, C, H, W)."""
    levels = backbone(torch.cat([frames_a, frames_b]))
    return [level[: len(frames_a)] for level in levels], [level[len(frames_a) :] for level in levels]
