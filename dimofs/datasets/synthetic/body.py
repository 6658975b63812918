"""Solids: the tapered, rounded pieces that people and things are drawn from.

A solid has an axis from `start` to `end` in the world, an elliptic cross-section at either end, and rounded ends. A
point of its surface has three coordinates that stay with the body while it moves: `t` along the axis (0 at the start,
1 at the end), the angle about the axis (0 at the solid's own front) and how far round an end it lies (−1..1, 0 off the
ends).
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from dimofs.datasets.synthetic.skeleton import JOINT, JOINTS, Build
from dimofs.datasets.synthetic.texture import Array

#: The parts of a person, in the order of their solids and textures.
PARTS = (
    "pelvis", "chest", "neck", "head", "nose", "ponytail", "left_upper_arm", "right_upper_arm",
    "left_forearm", "right_forearm", "left_hand", "right_hand", "left_thigh", "right_thigh",
    "left_shin", "right_shin", "left_foot", "right_foot",
)  # fmt: skip

#: The parts of the body whose motion is told apart; small solids count with the part that they are on.
BODY = (
    "head", "trunk", "left_upper_arm", "right_upper_arm", "left_forearm", "right_forearm", "left_hand", "right_hand",
    "left_thigh", "right_thigh", "left_shin", "right_shin", "left_foot", "right_foot",
)  # fmt: skip
_BODY_OF = {"pelvis": "trunk", "chest": "trunk", "neck": "head", "nose": "head", "ponytail": "head"}
BODY_INDEX = np.array([BODY.index(_BODY_OF.get(part, part)) for part in PARTS])

#: Parts that may lie over a joint without hiding it: those that the joint is a point of. The own body never hides the
#: neck, the shoulders and the hips: an annotator knows where they are behind an arm or on the far side.
_JOINT_PARTS: dict[str, tuple[str, ...]] = {
    "pelvis": ("pelvis", "chest"),
    "belly": ("pelvis", "chest"),
    "head_bottom": PARTS,
    "head_top": ("head", "ponytail"),
    "nose": ("nose",),
} | {
    f"{side}_{joint}": tuple(part if part in PARTS else f"{side}_{part}" for part in parts)
    for side in ("left", "right")
    for joint, parts in {
        "shoulder": PARTS,
        "elbow": ("upper_arm", "forearm"),
        "wrist": ("forearm", "hand"),
        "hand": ("forearm", "hand"),
        "hip": PARTS,
        "knee": ("thigh", "shin"),
        "ankle": ("shin", "foot"),
        "toe": ("foot",),
    }.items()
}

#: (21, 18) bool: whether the part belongs to the joint.
JOINT_PARTS = np.array([[part in _JOINT_PARTS[joint] for part in PARTS] for joint in JOINTS])


@dataclass(frozen=True)
class Solids:
    """P solids over T frames; lengths in metres, world coordinates."""

    start: Array  #: (T, P, 3) axis start
    end: Array  #: (T, P, 3) axis end
    front: Array  #: (T, P, 3) a direction, not along the axis: angle 0 of the surface
    side: Array  #: (P, 2) half width to the solid's sides, at start and end
    depth: Array  #: (P, 2) half width to its front and back, at start and end
    cap: Array  #: (P, 2) length of the rounded end over the half width there; 0 cuts it flat
    square: Array  #: (P,) 1: elliptic ends, smaller: squarer
    relief: Array  #: (P,) 1: shaded as round, 0: as flat
    bias: Array  #: (P,) metres that the solid is drawn as if nearer
    present: NDArray[np.bool_]  #: (T, P) whether it is there


def join(solids: list[Solids]) -> Solids:
    """All solids in one, in order."""
    by_frame = {"start", "end", "front", "present"}
    return Solids(
        *(
            np.concatenate([getattr(each, field.name) for each in solids], axis=1 if field.name in by_frame else 0)
            for field in fields(Solids)
        )
    )


def unit(vectors: Array) -> Array:
    """Vectors (..., 3) at length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)


def cross(first: Array, second: Array) -> Array:
    """Cross products of vectors (..., 3); faster than NumPy's for few of them."""
    a, b, c = first[..., 0], first[..., 1], first[..., 2]
    x, y, z = second[..., 0], second[..., 1], second[..., 2]
    return np.stack([b * z - c * y, c * x - a * z, a * y - b * x], -1)


def _carried(front: Array, base: Array, axis: Array) -> Array:
    """`front` carried along by the smallest rotation that takes `base` to `axis`; all (..., 3), unit."""
    turn = cross(base, axis)
    cosine = np.maximum((base * axis).sum(-1, keepdims=True), -0.98)
    return front + cross(turn, front) + cross(turn, cross(turn, front)) / (1 + cosine)


def person(joints: Array, build: Build, ponytail: bool) -> Solids:
    """The 18 solids of a person (`PARTS`).

    Args:
        joints: (T, 21, 3) world positions in the order of `skeleton.JOINTS`, metres.
        build: the person's proportions.
        ponytail: whether the hair hangs down at the back.
    """
    frames = len(joints)
    j = {name: joints[:, index] for name, index in JOINT.items()}
    left = unit(j["left_shoulder"] - j["right_shoulder"])
    up = unit(j["head_bottom"] - j["belly"])
    front = unit(cross(left, up))
    hip_left = unit(j["left_hip"] - j["right_hip"])
    hip_up = unit(j["belly"] - j["pelvis"])
    hip_front = unit(cross(hip_left, hip_up))
    skull_up = unit(j["head_top"] - j["head_bottom"])
    face = j["nose"] - j["head_bottom"]
    face = unit(face - (face * skull_up).sum(-1, keepdims=True) * skull_up)

    head_long = build.head
    head_wide = build.head_radius * 0.88
    skull_base = j["head_bottom"] + (0.42 * head_long) * skull_up
    crown = j["head_top"] - (0.8 * head_wide) * skull_up
    middle = (skull_base + crown) / 2
    tail = middle - (0.9 * head_wide) * face
    tail_end = tail - np.array((0, 0.9 * head_long, 0), np.float32) - (0.25 * head_long) * face
    crotch = j["pelvis"] - (0.25 * build.hip_radius) * hip_up
    collar = (j["left_shoulder"] + j["right_shoulder"]) / 2

    trunk_start = [
        crotch,
        j["belly"],
        j["head_bottom"] - 0.02 * up,
        skull_base,
        middle - 0.05 * head_long * skull_up,
        tail,
    ]
    trunk_end = [j["belly"], collar, skull_base + 0.02 * skull_up, crown, j["nose"], tail_end]
    trunk_front = [hip_front, front, front, face, skull_up, face]

    arm_start = np.stack(
        [j[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist") for side in ("left", "right")], 1
    )
    arm_end = np.stack([j[f"{side}_{name}"] for name in ("elbow", "wrist", "hand") for side in ("left", "right")], 1)
    leg_start = np.stack([j[f"{side}_{name}"] for name in ("hip", "knee") for side in ("left", "right")], 1)
    leg_end = np.stack([j[f"{side}_{name}"] for name in ("knee", "ankle") for side in ("left", "right")], 1)
    # An arm never points up, back and inwards, so carrying from the opposite of that never flips its front.
    outward = np.stack([left, -left] * 3, 1)
    rest = unit(0.6 * front[:, None] + 0.7 * outward - 0.3 * up[:, None])
    arm_front = _carried(unit(front[:, None] - outward + 0.1 * up[:, None]), rest, unit(arm_end - arm_start))
    leg_front = _carried(hip_front[:, None], -hip_up[:, None], unit(leg_end - leg_start))
    ankle = np.stack([j["left_ankle"], j["right_ankle"]], 1)
    toe = np.stack([j["left_toe"], j["right_toe"]], 1)
    shin = unit(leg_start[:, 2:] - ankle)
    heel = ankle - 0.35 * build.ankle_height * shin - 0.3 * build.ankle_height * unit(toe - ankle)

    b = build
    shoulder = b.shoulder_half_width + 0.1 * b.upper_arm_radius
    limb = {
        "upper_arm": (1.2 * b.upper_arm_radius, 0.95 * b.upper_arm_radius),
        "forearm": (1.1 * b.forearm_radius, 0.8 * b.forearm_radius),
        "hand": (0.85 * b.hand_radius, 0.8 * b.hand_radius),
        "thigh": (1.25 * b.thigh_radius, 0.82 * b.thigh_radius),
        "shin": (1.15 * b.shank_radius, 0.75 * b.shank_radius),
        "foot": (1.3 * b.foot_radius, 1.0 * b.foot_radius),
    }
    pairs = [limb[name] for name in limb for _ in range(2)]
    side = [
        (1.02 * b.hip_radius + 0.35 * b.thigh_radius, b.waist_radius),
        (b.waist_radius, shoulder),
        (1.15 * b.neck_radius, b.neck_radius),
        (0.8 * head_wide, head_wide),
        (0.14 * head_wide, 0.16 * head_wide),
        (0.4 * head_wide, 0.15 * head_wide),
        *pairs,
    ]
    depth = [
        (0.78 * b.hip_radius, 0.7 * b.waist_radius),
        (0.7 * b.waist_radius, 0.7 * b.chest_radius),
        (1.15 * b.neck_radius, b.neck_radius),
        (1.0 * head_wide, 1.12 * head_wide),
        (0.14 * head_wide, 0.16 * head_wide),
        (0.4 * head_wide, 0.15 * head_wide),
        *pairs,
    ]
    cap = np.ones((len(PARTS), 2), np.float32)
    cap[PARTS.index("pelvis")] = 0.55, 0.15
    cap[PARTS.index("chest")] = 0.2, 0.36
    cap[PARTS.index("head")] = 0.75, 0.85
    square = np.ones(len(PARTS), np.float32)
    square[PARTS.index("pelvis")] = 0.8
    bias = np.zeros(len(PARTS), np.float32)
    bias[PARTS.index("chest")] = 0.03  # the shirt hangs over the trousers
    bias[PARTS.index("neck")] = -0.04  # under the chin and the collar
    bias[[PARTS.index(f"{side}_foot") for side in ("left", "right")]] = 0.02
    present = np.ones((frames, len(PARTS)), bool)
    present[:, PARTS.index("ponytail")] = ponytail
    return Solids(
        np.concatenate([np.stack(trunk_start, 1), arm_start, leg_start, heel], 1).astype(np.float32),
        np.concatenate([np.stack(trunk_end, 1), arm_end, leg_end, toe], 1).astype(np.float32),
        np.concatenate([np.stack(trunk_front, 1), arm_front, leg_front, shin], 1).astype(np.float32),
        np.array(side, np.float32), np.array(depth, np.float32), cap, square, np.ones(len(PARTS), np.float32), bias,
        present,
    )  # fmt: skip


def thing(
    start: Array,
    end: Array,
    front: Array,
    side: float | tuple[float, float],
    depth: float | tuple[float, float],
    flat: bool = False,
    present: NDArray[np.bool_] | None = None,
) -> Solids:
    """One solid that is no part of a person: round (a ball, a stick, a bush) or flat (a box, a panel, a car).

    start, end and front are (T, 3); `side` and `depth` are half widths at both ends, or at start and end.
    """
    shape = np.broadcast_to(np.asarray(side, np.float32), 2), np.broadcast_to(np.asarray(depth, np.float32), 2)
    return Solids(
        start[:, None].astype(np.float32), end[:, None].astype(np.float32), front[:, None].astype(np.float32),
        shape[0][None], shape[1][None], np.full((1, 2), 0.0 if flat else 1.0, np.float32), np.ones(1, np.float32),
        np.full(1, 0.15 if flat else 1.0, np.float32), np.zeros(1, np.float32),
        np.ones((len(start), 1), bool) if present is None else present[:, None],
    )  # fmt: skip
