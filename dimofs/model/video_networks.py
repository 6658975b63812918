"""The networks that Table 4 compares with: TSN and TRN over frames, C3D and R(2+1)D over clips.

Each maps clips (N, T, C, H, W), float in [0, 1], to logits (N, classes). The small ones are for a CPU and small frames;
the full ones are torchvision's.
"""

from collections import OrderedDict
from itertools import combinations

import torch
from torch import Tensor, nn
from torchvision.models import resnet
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.video import resnet as video_resnet
from torchvision.models.video.resnet import BasicBlock, Conv2Plus1D

from dimofs.config import Model
from dimofs.model.backbone import PIXEL_MEAN, PIXEL_STD, FrozenNorm, SmallResNet

#: Mean and standard deviation of Kinetics' colours, for RGB in [0, 1]; torchvision's video weights expect them.
CLIP_MEAN = (0.43216, 0.394666, 0.37645)
CLIP_STD = (0.22803, 0.22145, 0.216989)

#: A field of flow has this value where nothing moves, and about this deviation (its range is 0 to 1).
NO_MOTION, FLOW_STD = 128 / 255, 0.1

#: TRN: features of a frame, units of a relation's layer, and relations drawn of each length.
FRAME_FEATURES = 256
RELATION_UNITS = 256
RELATIONS = 3


#: What full networks start from: weights of ImageNet, and of Kinetics for both 3-D networks.
FULL_WEIGHTS = {
    "tsn": resnet.ResNet50_Weights.IMAGENET1K_V1,
    "trn": resnet.ResNet50_Weights.IMAGENET1K_V1,
    "c3d": video_resnet.R3D_18_Weights.KINETICS400_V1,
    "r2plus1d": video_resnet.R2Plus1D_18_Weights.KINETICS400_V1,
}


class Colours(nn.Module):
    """From values in [0, 1] to mean 0 and deviation 1 over a data set; C is the last axis but two."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Normalise (…, C, H, W)."""
        return (frames - self.mean) / self.std


class FrameNetwork(nn.Module):
    """A residual network over single frames: (N, C, H, W) to (N, features), averaged over places.

    The small one has the names of the detector's backbone, so it can start from the still-image weights; without a
    `model` it is ResNet-50. Of the batch normalisations only the first learns its statistics (TSN's partial BN).
    """

    def __init__(self, model: Model | None) -> None:
        super().__init__()
        if model is None:
            body, self.features = resnet.resnet50(weights=None, norm_layer=FrozenNorm), 2048
        else:
            body, self.features = SmallResNet(model.small_width, FrozenNorm), 8 * model.small_width
        body.bn1 = nn.BatchNorm2d(body.conv1.out_channels)
        self.body = IntermediateLayerGetter(body, {"layer4": "0"})

    def widen(self, channels: int) -> None:
        """Take `channels` inputs instead of colours; each starts from the mean filter over the colours (TSN)."""
        old = self.body["conv1"]
        new = nn.Conv2d(channels, old.out_channels, old.kernel_size, old.stride, old.padding, bias=False)
        with torch.no_grad():
            new.weight.copy_(old.weight.mean(1, keepdim=True).expand_as(new.weight))
        self.body["conv1"] = new

    def forward(self, frames: Tensor) -> Tensor:
        """Compute features (N, features) of frames (N, C, H, W); channels last in memory, convolutions are quicker."""
        return self.body(frames.contiguous(memory_format=torch.channels_last))["0"].mean((2, 3))


class SegmentNetwork(nn.Module):
    """TSN: one frame (or stack of flow) of each segment, class scores averaged over the segments."""

    def __init__(self, model: Model | None, classes: int, dropout: float) -> None:
        super().__init__()
        self.colours: nn.Module = Colours(PIXEL_MEAN, PIXEL_STD)
        self.backbone = FrameNetwork(model)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(self.backbone.features, classes))

    def see_flow(self, channels: int) -> None:
        """Take stacks of `channels` fields of flow, NO_MOTION where nothing moves."""
        self.colours = Colours((NO_MOTION,) * channels, (FLOW_STD,) * channels)
        self.backbone.widen(channels)

    def forward(self, clips: Tensor) -> Tensor:
        """Compute logits (N, classes) of clips (N, T, C, H, W)."""
        features = self.backbone(self.colours(clips).flatten(0, 1))
        return self.classifier(features).unflatten(0, clips.shape[:2]).mean(1)


class RelationNetwork(nn.Module):
    """TRN (multi-scale): an MLP over ordered tuples of 2, 3, …, T frames each, class scores summed over the tuples.

    Of every length some tuples are drawn anew at each step of training; in prediction they are evenly spaced.
    """

    def __init__(self, model: Model | None, classes: int, dropout: float, segments: int) -> None:
        super().__init__()
        self.colours = Colours(PIXEL_MEAN, PIXEL_STD)
        self.backbone = FrameNetwork(model)
        self.project = nn.Sequential(nn.Dropout(dropout), nn.Linear(self.backbone.features, FRAME_FEATURES))
        self.tuples = [list(combinations(range(segments), length)) for length in range(2, segments + 1)]
        self.relations = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                nn.Linear(len(tuples[0]) * FRAME_FEATURES, RELATION_UNITS),
                nn.ReLU(),
                nn.Linear(RELATION_UNITS, classes),
            )
            for tuples in self.tuples
        )

    def forward(self, clips: Tensor) -> Tensor:
        """Compute logits (N, classes) of clips (N, T, C, H, W)."""
        features = self.project(self.backbone(self.colours(clips).flatten(0, 1))).unflatten(0, clips.shape[:2])
        scores = []
        for tuples, relation in zip(self.tuples, self.relations, strict=True):
            used = min(RELATIONS, len(tuples))
            chosen = torch.randperm(len(tuples)) if self.training else torch.linspace(0, len(tuples) - 1, used).long()
            scores += [relation(features[:, tuples[index]].flatten(1)) for index in chosen[:used].tolist()]
        return torch.stack(scores).sum(0)


class ClipNetwork(nn.Module):
    """A network over space and time, (N, C, T, H, W) to (N, features), with a classifier behind it."""

    def __init__(self, backbone: nn.Module, features: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.colours = Colours(CLIP_MEAN, CLIP_STD)
        self.backbone = backbone.to(memory_format=torch.channels_last_3d)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, classes))

    def forward(self, clips: Tensor) -> Tensor:
        """Compute logits (N, classes) of clips (N, T, C, H, W)."""
        # On a CPU, gradients of 3-D convolutions in bfloat16 hold memory that was never written (torch 2.15, oneDNN).
        with torch.autocast(clips.device.type, enabled=clips.is_cuda and torch.is_autocast_enabled("cuda")):
            volume = self.colours(clips).transpose(1, 2).contiguous(memory_format=torch.channels_last_3d)
            return self.classifier(self.backbone(volume).mean((2, 3, 4)))


def small_c3d(width: int) -> tuple[nn.Module, int]:
    """C3D with six of its eight 3×3×3 convolutions, a mean instead of its two large layers; returns the features too.

    As in C3D the first halving leaves time alone; here it is a stride. Batch normalisation stands behind every
    convolution, which training from random weights on few videos needs.
    """
    layers: list[nn.Module] = []
    channels = 3
    for position, outputs in enumerate((width, 2 * width, 4 * width, 4 * width, 8 * width, 8 * width)):
        stride = (1, 2, 2) if position == 0 else 1
        convolution = nn.Conv3d(channels, outputs, 3, stride, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)]
        if position in (1, 3, 5):
            layers.append(nn.MaxPool3d(2))
        channels = outputs
    return nn.Sequential(*layers), channels


def small_r2plus1d(width: int) -> tuple[nn.Module, int]:
    """R(2+1)D with three stages, of one block of torchvision's each, instead of four; returns the features too."""
    stem = nn.Sequential(
        nn.Conv3d(3, width, (1, 5, 5), stride=(1, 2, 2), padding=(0, 2, 2), bias=False),
        nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
        nn.Conv3d(width, width, (3, 1, 1), padding=(1, 0, 0), bias=False),
        nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
    )
    stages, channels = [stem], width
    for outputs in (2 * width, 4 * width, 8 * width):
        shortcut = nn.Sequential(nn.Conv3d(channels, outputs, 1, stride=2, bias=False), nn.BatchNorm3d(outputs))
        stages.append(BasicBlock(channels, outputs, Conv2Plus1D, 2, shortcut))
        channels = outputs
    return nn.Sequential(*stages), channels


def full_clip_network(name: str) -> tuple[nn.Module, int]:
    """Build torchvision's "r2plus1d_18" or "r3d_18" without its last layers; returns the features too."""
    network = getattr(video_resnet, name)(weights=None)
    parts = ("stem", "layer1", "layer2", "layer3", "layer4")
    return nn.Sequential(OrderedDict((part, getattr(network, part)) for part in parts)), network.fc.in_features
