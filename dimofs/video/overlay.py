"""Pictures of what the network sees: the frame with people and tracks, beside it motion field and saliency (§4).

The motion field is the mean of the channels' offsets, summed over the scales (A14, A15); the saliency is the same for
their magnitudes, so that channels which point against each other do not hide motion (A18).
"""

from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dimofs.datasets.contact_sheet import draw_skeleton
from dimofs.datasets.records import POSETRACK_JOINTS, Array, Image
from dimofs.flow import colour_wheel, colours
from dimofs.model.backbone import STRIDES
from dimofs.video.analyse import AnalysedFrame, TrackedPerson

#: Long side of the drawn frame, pixels: larger videos are drawn smaller, smaller ones larger.
_LONGEST, _SHORTEST = 1280, 640

#: Least motion in full colour, as a fraction of the frame's diagonal: noise in a still scene stays pale.
_FAINT = 0.05

_SHOWN = np.array([not name.endswith("_ear") for name in POSETRACK_JOINTS])
_FONT, _INK, _PAPER = cv2.FONT_HERSHEY_SIMPLEX, (30, 30, 30), (255, 255, 255)


@torch.inference_mode()
def motion_maps(offsets: list[Tensor]) -> tuple[Array, Array]:
    """Compute motion field (h, w, 2), dx dy, and saliency (h, w), float32, of one pair.

    offsets: per scale (2C, H, W), as `dimofs.model.offsets.Offsets` gives them. Both maps have the grid of the finest
    scale and the unit pixels of the network's frame; coarser scales are enlarged bilinearly (A14).
    """
    height, width = offsets[0].shape[-2:]
    total = offsets[0].new_zeros((3, height, width), dtype=torch.float32)
    for level, stride in zip(offsets, STRIDES, strict=True):
        dy, dx = stride * level[0::2].float(), stride * level[1::2].float()
        maps = torch.stack([dx.mean(0), dy.mean(0), torch.hypot(dx, dy).mean(0)])
        total += F.interpolate(maps[None], (height, width), mode="bilinear", align_corners=False)[0]
    maps_array = total.permute(1, 2, 0).cpu().numpy()
    return maps_array[..., :2], maps_array[..., 2]


def draw(frame: AnalysedFrame, delta: int) -> Image:
    """Draw a frame and its motion at one of its δ as (H, W, 3) uint8 BGR with even sides, the same for a whole video.

    Left: the frame, people with skeletons and track ids. Right, at half the size: motion field, saliency.
    """
    height, width = frame.picture.image.shape[:2]
    scale = np.clip(1, _SHORTEST / max(height, width), _LONGEST / max(height, width))
    sides = (4 * round(width * scale / 4), 4 * round(height * scale / 4))
    picture: Any = cv2.resize(frame.picture.image[:, :, ::-1], sides)
    half = cv2.resize(picture, (sides[0] // 2, sides[1] // 2), interpolation=cv2.INTER_AREA)
    grey: Any = cv2.cvtColor(cv2.cvtColor(half, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)

    for person in frame.people:
        _draw_person(picture, person, float(scale))
    _note(picture, f"frame {frame.picture.position}  {frame.picture.time:.2f} s")
    field, saliency = motion_maps(frame.offsets[delta])
    faint = _FAINT * float(np.hypot(*frame.size))
    full = max(float(np.percentile(np.hypot(field[..., 0], field[..., 1]), 99)), faint)
    middle, high = np.percentile(saliency, [50, 99]).tolist()
    share = (saliency - middle) / max(high - middle, faint)
    panels = [
        _field(grey, _fit(field / full, frame, half.shape), delta),
        _heat(grey, _fit(share, frame, half.shape)),
    ]
    return np.concatenate([picture, np.concatenate(panels)], axis=1)


def _draw_person(view: Image, person: TrackedPerson, scale: float) -> None:
    draw_skeleton(view, person.joints, _SHOWN, POSETRACK_JOINTS, scale, width=2)
    x1, y1, x2, y2 = (int(edge) for edge in person.box * scale)
    colour = _track_colour(person.track)
    cv2.rectangle(view, (x1, y1), (x2, y2), colour, 2)
    (wide, high), _ = cv2.getTextSize(str(person.track), _FONT, 0.55, 1)
    x1, y1 = max(x1, 0), max(y1, high + 6)
    cv2.rectangle(view, (x1, y1 - high - 6), (x1 + wide + 6, y1), colour, -1)
    cv2.putText(view, str(person.track), (x1 + 3, y1 - 4), _FONT, 0.55, _INK, 1, cv2.LINE_AA)


def _track_colour(track: int) -> tuple[int, int, int]:
    """A bright colour; those of tracks that follow each other lie far apart."""
    turn = track * 0.618034 % 1
    hsv = np.array([[[180 * turn, 150, 255]]], np.uint8)
    blue, green, red = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red


def _fit(maps: Array, frame: AnalysedFrame, shape: tuple[int, ...]) -> Array:
    """Maps on the network's padded frame, enlarged to a picture of the frame itself."""
    height, width = (
        round(STRIDES[0] * cells * side / own)
        for cells, side, own in zip(maps.shape[:2], shape[:2], frame.size, strict=True)
    )
    return np.asarray(cv2.resize(maps, (width, height))[: shape[0], : shape[1]], np.float32)


def _field(grey: Image, field: Array, delta: int) -> Image:
    """Vectors of at most length 1, but for a few, over the picture: the shorter, the fainter."""
    view = _blend(grey, colours(field, 1)[:, :, ::-1], np.hypot(field[..., 0], field[..., 1]))
    wheel = colour_wheel(max(16, min(view.shape[:2]) // 5))
    view[4 : 4 + len(wheel), -4 - len(wheel) : -4] = wheel[:, :, ::-1]
    _note(view, f"mean offset, delta {delta:+d}")
    return view


def _heat(grey: Image, share: Array) -> Image:
    """What stands out from the frame's median (0), from dark violet to yellow (1)."""
    levels = cv2.convertScaleAbs(share.clip(0), alpha=255)
    heat = np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), np.uint8)
    view = _blend(grey, heat, 0.25 + share)
    _note(view, "saliency")
    return view


def _blend(picture: Image, paint: Image, share: Array) -> Image:
    """Paint over a picture, where the share is 0 not at all."""
    opacity = (0.85 * share).clip(0, 0.85)
    return np.asarray(cv2.blendLinear(picture, np.ascontiguousarray(paint), 1 - opacity, opacity), np.uint8)


def _note(view: Image, text: str) -> None:
    (wide, high), _ = cv2.getTextSize(text, _FONT, 0.45, 1)
    cv2.rectangle(view, (0, 0), (wide + 8, high + 10), _INK, -1)
    cv2.putText(view, text, (4, high + 4), _FONT, 0.45, _PAPER, 1, cv2.LINE_AA)
