"""Farneback's optical flow in place of DiMoFs: column 5 of Table 3 (A19, A29)."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dimofs.config import Farneback
from dimofs.model.backbone import STRIDES


def farneback(frame_a: NDArray[np.uint8], frame_b: NDArray[np.uint8], settings: Farneback) -> NDArray[np.float32]:
    """Compute the flow from Frame A to Frame B.

    frame_a, frame_b: (H, W, 3) uint8 RGB. Returns (H, W, 2) float32: (dx, dy) in pixels; A(p) matches B(p + flow).
    """
    grey_a, grey_b = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (frame_a, frame_b))
    if settings.settings == "opencv":
        arguments = {"levels": 3, "winsize": 15, "iterations": 3, "poly_n": 5, "poly_sigma": 1.2, "flags": 0}
    else:
        window = min(grey_a.shape) // 5
        arguments = {"levels": 10, "winsize": window, "iterations": 10, "poly_n": 7, "poly_sigma": 1.5}
        arguments["flags"] = cv2.OPTFLOW_FARNEBACK_GAUSSIAN
    flow = cv2.calcOpticalFlowFarneback(grey_a, grey_b, None, pyr_scale=0.5, **arguments)  # type: ignore[call-overload]
    return np.asarray(flow, dtype=np.float32)


def flow_levels(frames_a: Tensor, frames_b: Tensor, settings: Farneback) -> list[Tensor]:
    """Compute the flow of pairs as motion maps, in feature pixels like the offsets that they replace.

    frames_a, frames_b: (N, 3, H, W) uint8 RGB. Returns per scale (N, 2, H / stride, W / stride) float32, (dx, dy).
    """
    pairs = zip(frames_a.permute(0, 2, 3, 1).numpy(), frames_b.permute(0, 2, 3, 1).numpy(), strict=True)
    flows = np.stack([farneback(np.ascontiguousarray(a), np.ascontiguousarray(b), settings) for a, b in pairs])
    full = torch.from_numpy(flows).permute(0, 3, 1, 2).contiguous()
    return [F.avg_pool2d(full, stride) / stride for stride in STRIDES]
