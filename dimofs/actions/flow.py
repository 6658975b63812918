"""Farneback's optical flow in place of DiMoFs: column 5 of Table 3 (A19, A29)."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dimofs.config import Farneback
from dimofs.flow import farneback
from dimofs.model.backbone import STRIDES


def flow_levels(frames_a: Tensor, frames_b: Tensor, settings: Farneback) -> list[Tensor]:
    """Compute the flow of pairs as motion maps, in feature pixels like the offsets that they replace.

    frames_a, frames_b: (N, 3, H, W) uint8 RGB. Returns per scale (N, 2, H / stride, W / stride) float32, (dx, dy).
    """
    pairs = zip(frames_a.permute(0, 2, 3, 1).numpy(), frames_b.permute(0, 2, 3, 1).numpy(), strict=True)
    flows = np.stack([farneback(np.ascontiguousarray(a), np.ascontiguousarray(b), settings.settings) for a, b in pairs])
    full = torch.from_numpy(flows).permute(0, 3, 1, 2).contiguous()
    return [F.avg_pool2d(full, stride) / stride for stride in STRIDES]
