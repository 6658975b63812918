"""Labels of a rendered clip in the terms of the official files: PoseTrack18 annotations, JHMDB joints and masks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dimofs.datasets.records import JHMDB_JOINTS, POSETRACK_JOINTS
from dimofs.datasets.synthetic.body import PARTS
from dimofs.datasets.synthetic.render import Clip
from dimofs.datasets.synthetic.skeleton import JOINT
from dimofs.datasets.synthetic.texture import Array, Picture

#: People whose picture is smaller than this (longer side, pixels) are not labelled but put into an ignore region.
SMALLEST_PERSON = 20
#: People with fewer visible joints are too hidden to label.
FEWEST_JOINTS = 5
#: A person with fewer visible pixels than this is not there at all.
FEWEST_PIXELS = 8

_POSETRACK = np.array([JOINT.get(name, 0) for name in POSETRACK_JOINTS])
_HAS_LABEL = np.array([name in JOINT for name in POSETRACK_JOINTS])  # ears are never labelled


def member_corners(clip: Clip) -> Array:
    """Outline corners of every member, (T, M, 18, 18, 2) pixels."""
    frames, members = clip.joints.shape[:2]
    return clip.corners[:, : members * len(PARTS)].reshape(frames, members, len(PARTS), -1, 2)


def head_boxes(clip: Clip) -> Array:
    """Boxes (T, M, 4), x1 y1 x2 y2 in pixels, round the head from the base of the neck to the top, seen or not.

    The official annotators draw them with room to spare, and PCKh measures in them: over the fully labelled people of
    three official files the box is 1.08 times as high as neck to top and 0.88 times as wide as high (medians).
    """
    head = member_corners(clip)[:, :, PARTS.index("head")]
    points = np.concatenate([head, clip.joints[:, :, [JOINT["head_bottom"], JOINT["head_top"]]]], 2)
    centre, half = (points.min(2) + points.max(2)) / 2, 1.08 * (points.max(2) - points.min(2)) / 2
    half = np.maximum(half, 0.88 * half[..., ::-1])
    return np.concatenate([centre - half, centre + half], -1)


def person_box(points: NDArray[np.float64]) -> list[float]:
    """The official box [x, y, w, h] of labelled keypoints (K, 2): their extent, 1.3 times as large, not clipped."""
    low, high = points.min(0), points.max(0)
    return np.concatenate([low - 0.15 * (high - low), 1.3 * (high - low)]).round(2).tolist()


@dataclass(frozen=True)
class PoseTrackLabels:
    """What the official file says about one labelled frame."""

    annotations: list[dict[str, Any]]
    ignore_x: list[list[int]]  #: x's of every ignore region
    ignore_y: list[list[int]]


def posetrack_labels(clip: Clip, image_ids: Mapping[int, int]) -> dict[int, PoseTrackLabels]:
    """Labels of some frames (keys: positions in the clip, values: image ids).

    A person with too few visible joints, or too small, becomes an ignore region; one with hardly a pixel is left out.
    """
    members = clip.joints.shape[1]
    corners = member_corners(clip)
    extents = (corners.max((2, 3)) - corners.min((2, 3))).max(-1)
    heads = head_boxes(clip).astype(np.float64).round(2)
    heads[..., 2:] = (heads[..., 2:] - heads[..., :2]).round(2)
    joints = clip.joints[:, :, _POSETRACK].astype(np.float64).round(2)
    labelled = clip.visible[:, :, _POSETRACK] & _HAS_LABEL
    keypoints = np.concatenate([joints, np.ones_like(joints[..., :1])], -1) * labelled[..., None]

    found = {}
    for frame, image_id in image_ids.items():
        seen = np.bincount(clip.parts[frame].ravel(), minlength=members * len(PARTS) + 1)
        pixels = seen[1 : members * len(PARTS) + 1].reshape(members, len(PARTS)).sum(1)
        annotations: list[dict[str, Any]] = []
        regions: list[NDArray[np.int32]] = []
        for member in np.flatnonzero(pixels >= FEWEST_PIXELS).tolist():
            visible = labelled[frame, member]
            if extents[frame, member] < SMALLEST_PERSON or visible.sum() < FEWEST_JOINTS:
                regions.append(_hull((clip.parts[frame].astype(np.int64) - 1) // len(PARTS) == member))
                continue
            annotations.append(
                {
                    "bbox_head": heads[frame, member].tolist(),
                    "keypoints": keypoints[frame, member].ravel().tolist(),
                    "track_id": member,
                    "image_id": image_id,
                    "bbox": person_box(joints[frame, member][visible]),
                    "scores": [],
                    "category_id": 1,
                    "id": image_id * 100 + len(annotations),
                }
            )
        found[frame] = PoseTrackLabels(
            annotations,
            [region[:, 0].tolist() for region in regions if len(region) > 2],
            [region[:, 1].tolist() for region in regions if len(region) > 2],
        )
    return found


def _hull(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The convex polygon (K, 2) round the pixels of a mask (H, W): what is hidden needs no region."""
    pixels = np.argwhere(mask)[:, ::-1].astype(np.int32)
    return np.asarray(cv2.convexHull(pixels), np.int32).reshape(-1, 2)


def jhmdb_joints(clip: Clip, member: int = 0) -> Array:
    """The 15 JHMDB joints of a member, (T, 15, 2) pixels, 0-based, given whether seen or not.

    The puppet's neck is the base of the neck, its face the middle of the face.
    """
    joints = {name: clip.joints[:, member, index] for name, index in JOINT.items()}
    joints["neck"] = joints["head_bottom"]
    joints["face"] = (joints["head_bottom"] + 2 * joints["head_top"]) / 3
    return np.stack([joints[name] for name in JHMDB_JOINTS], 1)


def puppet_mask(clip: Clip, member: int = 0) -> Picture:
    """The whole figure of a member, (T, H, W) uint8 0 or 1, with what others hide, as a fitted puppet has it."""
    size = clip.parts.shape[-1]
    first = member * len(PARTS)
    masks = np.zeros((len(clip.parts), size, size), np.uint8)
    fixed = np.round(clip.corners[:, first : first + len(PARTS)] * 64).astype(np.int32)
    for frame, mask in enumerate(masks):
        for part in np.flatnonzero(clip.outlines.drawn[frame, first : first + len(PARTS)]):
            cv2.fillConvexPoly(mask, fixed[frame, part], 1, cv2.LINE_8, 6)
    return masks
