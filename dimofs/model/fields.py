"""Offsets seen as motion (§4): fields in pixels, the feature of a joint, the dense linear read-out, saliency.

All functions take plain tensors, on any device. Displacements are (dx, dy), from Frame A to Frame B, in pixels of the
network's input, x to the right and y down; points have the centre of the top-left pixel at (0, 0).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from dimofs.model.backbone import STRIDES


def motion_fields(offsets: Sequence[Tensor]) -> list[Tensor]:
    """Turn the offsets of the four scales into displacements (A15, A16).

    offsets: per scale (N, 2C, H / stride, W / stride), a (dy, dx) for each channel in feature pixels, as
    `model.offsets.Offsets` predicts them.
    Returns per scale (N, C, 2, H / stride, W / stride): a (dx, dy) for each channel in pixels of the network's input.
    """
    return [level.unflatten(1, (-1, 2)).flip(2) * stride for level, stride in zip(offsets, STRIDES, strict=True)]


def joint_features(fields: Sequence[Tensor], points: Tensor) -> Tensor:
    """Sample every channel of every scale at points, bilinearly: 2048 numbers a joint at the paper's size (§4.1, A14).

    fields: as `motion_fields` gives them; points: (N, P, 2) x y, pixels of the network's input; beyond the outermost
    feature pixels' centres the border's values hold.
    Returns (N, P, 4 · C · 2): scale by scale, channel by channel, (dx, dy).
    """
    sampled = []
    for field, stride in zip(fields, STRIDES, strict=True):
        size = torch.tensor([field.shape[-1], field.shape[-2]], dtype=field.dtype, device=field.device) * stride
        grid = (2 * points + 1) / size - 1
        values = F.grid_sample(field.flatten(1, 2), grid[:, None], padding_mode="border", align_corners=False)
        sampled.append(values[:, :, 0].mT)
    return torch.cat(sampled, dim=-1)


def read_out(fields: Sequence[Tensor], coefficients: Tensor) -> Tensor:
    """Apply a linear read-out of the joint feature at every pixel, as a 1×1 convolution (§4.1).

    fields: as `motion_fields` gives them; coefficients: (2, 4 · C · 2), rows for dx and dy, columns as in
    `joint_features`. Returns (N, 2, H, W): what the read-out gives for a joint at each pixel, (dx, dy).

    The sum over channels comes before the interpolation, which is the same and costs two channels instead of 2C.
    """
    weights = coefficients.split([field.shape[1] * 2 for field in fields], dim=1)
    maps = [torch.einsum("nchw,dc->ndhw", field.flatten(1, 2), w) for field, w in zip(fields, weights, strict=True)]
    return _at_every_pixel(maps)


def saliency(fields: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Compute how much moves at every pixel, by both readings of the paper's caption (Figure 3, A18).

    fields: as `motion_fields` gives them. Returns two maps (N, H, W) in pixels: the magnitude of the channels' sum,
    in which opposite channels cancel, and the sum of the channels' magnitudes.
    """
    summed = _at_every_pixel([field.sum(1) for field in fields])
    magnitudes = _at_every_pixel([torch.hypot(*field.unbind(2)).sum(1, keepdim=True) for field in fields])
    return torch.hypot(*summed.unbind(1)), magnitudes[:, 0]


def _at_every_pixel(levels: Sequence[Tensor]) -> Tensor:
    """Bring one map a scale (N, D, H / stride, W / stride) to the pixels of the input and add them up, (N, D, H, W)."""
    return sum(
        (
            F.interpolate(level, scale_factor=stride, mode="bilinear", align_corners=False)
            for level, stride in zip(levels, STRIDES, strict=True)
        ),
        start=torch.zeros((), dtype=levels[0].dtype, device=levels[0].device),
    )
