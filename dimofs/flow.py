"""Optical flow by OpenCV, and displacement fields as colours.

A flow is (H, W, 2) float32: (dx, dy) in pixels from Frame A to Frame B, x to the right and y down; A(p) matches
B(p + flow).
"""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Field = NDArray[np.float32]

#: Both settings of Farneback's method (A19): the baseline's, and OpenCV's own.
FarnebackSettings = Literal["detect_and_track", "opencv"]


def farneback(frame_a: Image, frame_b: Image, settings: FarnebackSettings) -> Field:
    """Compute Farneback's flow from Frame A to Frame B; frames (H, W, 3) uint8 RGB."""
    grey_a, grey_b = _grey(frame_a), _grey(frame_b)
    if settings == "opencv":
        arguments = {"levels": 3, "winsize": 15, "iterations": 3, "poly_n": 5, "poly_sigma": 1.2, "flags": 0}
    else:
        window = min(grey_a.shape) // 5
        arguments = {"levels": 10, "winsize": window, "iterations": 10, "poly_n": 7, "poly_sigma": 1.5}
        arguments["flags"] = cv2.OPTFLOW_FARNEBACK_GAUSSIAN
    flow = cv2.calcOpticalFlowFarneback(grey_a, grey_b, None, pyr_scale=0.5, **arguments)  # type: ignore[call-overload]
    return np.asarray(flow, dtype=np.float32)


def dense_inverse_search(frame_a: Image, frame_b: Image) -> Field:
    """Compute DIS flow from Frame A to Frame B by OpenCV's medium preset; frames (H, W, 3) uint8 RGB."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(search.calc(_grey(frame_a), _grey(frame_b), None), dtype=np.float32)  # type: ignore[call-overload]


def colours(field: Field, largest: float) -> Image:
    """Paint a displacement field (H, W, 2) as (H, W, 3) uint8 RGB: the hue is the direction, white is no motion.

    Saturation grows with the length and is full from `largest` pixels on. Red points to the right, and hues follow the
    clock from there: yellow-green down, cyan to the left, violet up.
    """
    length = np.linalg.norm(field, axis=-1)
    hue = np.degrees(np.arctan2(field[..., 1], field[..., 0])) % 360
    saturation = np.minimum(length / largest, 1)
    picture = np.stack([hue, saturation, np.ones_like(hue)], axis=-1).astype(np.float32)
    return np.round(255 * cv2.cvtColor(picture, cv2.COLOR_HSV2RGB)).astype(np.uint8)


def colour_wheel(side: int) -> Image:
    """Paint the key of `colours`, (side, side, 3): each place is the displacement from the centre to it."""
    axis = (np.arange(side) + 0.5) / side * 2 - 1
    field = np.stack(np.meshgrid(axis, axis), axis=-1).astype(np.float32)
    picture = colours(field, 1.0)
    picture[np.linalg.norm(field, axis=-1) > 1] = 255
    return picture


def _grey(frame: Image) -> Image:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
