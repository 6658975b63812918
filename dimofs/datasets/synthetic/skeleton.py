"""A person as a kinematic chain: proportions, joint angles with limits, forward and inverse kinematics.

Coordinates are metres, right-handed: y is up, the ground is y = 0, a person with heading 0 faces +z and has the left
side towards +x. Angles are radians. All functions work on T frames at once.

Limbs hang along −y at rest. A shoulder or a hip is a ball joint of three angles: `plane` (0: the limb rises to the
front, π/2: to the outside), `lift` (how far it has risen; negative: to the opposite side) and `twist` (positive:
inwards, about the limb itself). Every angle of a limb is relative to its own side, so a mirrored pose has left and
right exchanged and the signs of twists, turns and side bends of the trunk flipped. Elbows bend the forearm towards
the front of the upper arm, knees the shank towards the back of the thigh.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]

JOINTS: tuple[str, ...] = (
    "pelvis", "belly", "head_bottom", "head_top", "nose",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hand", "right_hand", "left_hip", "right_hip", "left_knee", "right_knee",
    "left_ankle", "right_ankle", "left_toe", "right_toe",
)  # fmt: skip

#: Index of a joint in `JOINTS`.
JOINT: dict[str, int] = {name: index for index, name in enumerate(JOINTS)}

_TRUNK_LIMITS = {
    "spine_bend": (-0.6, 1.5),  # forwards
    "spine_twist": (-1.1, 1.1),  # to the left
    "spine_side": (-0.8, 0.8),  # leaning left
    "neck_bend": (-0.8, 0.9),
    "neck_turn": (-1.3, 1.3),
    "neck_side": (-0.6, 0.6),
}
_LIMB_LIMITS = {
    "shrug": (-0.15, 0.5),  # collar bone, upwards
    "shoulder_plane": (-1.2, 2.2),
    "shoulder_lift": (-1.1, 3.5),
    "shoulder_twist": (-2.4, 2.4),
    "elbow": (0.0, 2.6),
    "wrist": (-1.2, 1.2),  # palm-wards
    "hip_plane": (-1.0, 2.2),
    "hip_lift": (-0.8, 2.3),
    "hip_twist": (-1.0, 1.0),
    "knee": (0.0, 2.6),
    "ankle": (-0.7, 1.0),  # toes down
}

#: Lower and upper limit of every joint angle, in the order of the columns of an angle array.
LIMITS: dict[str, tuple[float, float]] = _TRUNK_LIMITS | {
    f"{side}_{name}": limit for name, limit in _LIMB_LIMITS.items() for side in ("left", "right")
}

#: Names of the joint angles ("degrees of freedom"), the columns of an angle array.
DOFS: tuple[str, ...] = tuple(LIMITS)

#: Column of a joint angle.
DOF: dict[str, int] = {name: index for index, name in enumerate(DOFS)}

_SHOULDER = ("shoulder_plane", "shoulder_lift", "shoulder_twist")
_HIP = ("hip_plane", "hip_lift", "hip_twist")
_LOWER, _UPPER = np.array(list(LIMITS.values())).T
_SIDES = np.array([[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]])  # (left, right) × xyz: to a limb's own outward frame and back


@dataclass(frozen=True)
class Build:
    """Lengths and radii of a person, in metres. Legs, trunk and head add up to the height.

    A radius is half the thickness of a limb at its middle (round cross-sections), for the trunk half its width.
    """

    height: float
    head: float  #: base of the neck (head_bottom) to head_top
    lower_trunk: float  #: pelvis (midpoint of the hips) to belly
    upper_trunk: float  #: belly to the base of the neck
    shoulder_half_width: float
    shoulder_drop: float  #: shoulder joints below the base of the neck
    hip_half_width: float
    upper_arm: float
    forearm: float
    hand: float  #: wrist to the end of the (half closed) hand
    thigh: float
    shank: float
    ankle_height: float  #: ankle above the sole
    foot: float  #: ankle to toe, horizontally
    head_radius: float
    neck_radius: float
    chest_radius: float
    waist_radius: float
    hip_radius: float
    upper_arm_radius: float
    forearm_radius: float
    hand_radius: float
    thigh_radius: float
    shank_radius: float
    foot_radius: float

    @property
    def arm(self) -> float:
        """Shoulder to wrist, stretched."""
        return self.upper_arm + self.forearm

    @property
    def leg(self) -> float:
        """Hip to ankle, stretched."""
        return self.thigh + self.shank

    @staticmethod
    def sample(rng: np.random.Generator) -> Build:
        """A random person: one in five a child, limbs and girth varying independently around usual proportions."""
        child = rng.random() < 0.2
        height = rng.uniform(1.05, 1.5) if child else float(np.clip(rng.normal(1.71, 0.09), 1.48, 1.98))
        youth = np.clip((1.6 - height) / 0.55, 0.0, 1.0) if child else 0.0  # 1: the smallest child
        girth = float(np.exp(rng.normal(0.0, 0.13)))  # slim to heavy
        belly = float(np.exp(rng.normal(0.0, 0.08))) * girth**0.6

        def share(mean: float, spread: float = 0.035) -> float:
            return mean * float(np.clip(rng.normal(1.0, spread), 0.9, 1.1))

        head = share(0.162 + 0.04 * youth)
        ankle, shank, thigh = share(0.039), share(0.246 - 0.015 * youth), share(0.245 - 0.018 * youth)
        lower, upper = share(0.125), share(0.183)
        unit = height / (head + ankle + shank + thigh + lower + upper)
        return Build(
            height=height,
            head=head * unit,
            lower_trunk=lower * unit,
            upper_trunk=upper * unit,
            shoulder_half_width=share(0.108, 0.06) * height * girth**0.25,
            shoulder_drop=share(0.022) * height,
            hip_half_width=share(0.053, 0.06) * height * girth**0.2,
            upper_arm=share(0.172 - 0.01 * youth) * height,
            forearm=share(0.146 - 0.008 * youth) * height,
            hand=share(0.085) * height,
            thigh=thigh * unit,
            shank=shank * unit,
            ankle_height=ankle * unit,
            foot=share(0.112, 0.05) * height,
            head_radius=share(0.052 + 0.016 * youth) * height,
            neck_radius=share(0.032) * height * girth**0.5,
            chest_radius=share(0.092) * height * girth**0.7,
            waist_radius=share(0.078) * height * girth**0.6 * belly,
            hip_radius=share(0.088) * height * girth**0.8,
            upper_arm_radius=share(0.027) * height * girth,
            forearm_radius=share(0.022) * height * girth**0.8,
            hand_radius=share(0.02) * height * girth**0.4,
            thigh_radius=share(0.046) * height * girth,
            shank_radius=share(0.031) * height * girth**0.8,
            foot_radius=share(0.019) * height * girth**0.3,
        )


def clamp(angles: Array64) -> Array64:
    """Joint angles (T, D) brought inside their limits: the one place where limits are enforced."""
    return np.clip(angles, _LOWER, _UPPER)


def sides(angles: Array64, name: str) -> Array64:
    """The columns (T, 2) of a limb angle, left then right."""
    column = DOF[f"left_{name}"]
    return angles[:, column : column + 2]


def unit(vectors: Array64 | Array32) -> Array64:
    """Vectors (..., 3) at length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def rotation(bend: Array64, twist: Array64, side: Array64) -> Array64:
    """Rotations (..., 3, 3): lean left by `side`, then forwards by `bend`, then turn left by `twist`."""
    (cb, ct, cs), (sb, st, ss) = np.cos([bend, twist, side]), np.sin([bend, twist, -side])
    matrix = np.empty((*cb.shape, 3, 3))
    matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 0, 2] = ct * cs + st * sb * ss, st * sb * cs - ct * ss, st * cb
    matrix[..., 1, 0], matrix[..., 1, 1], matrix[..., 1, 2] = cb * ss, cb * cs, -sb
    matrix[..., 2, 0], matrix[..., 2, 1], matrix[..., 2, 2] = ct * sb * ss - st * cs, st * ss + ct * sb * cs, ct * cb
    return matrix


def _swing(plane: Array64, lift: Array64) -> Array64:
    """Rotations (..., 3, 3) that take −y to the direction of a lifted limb without twisting it."""
    ax, az = -np.cos(plane), np.sin(plane)
    c, s = np.cos(lift), np.sin(lift)
    matrix = np.empty((*c.shape, 3, 3))
    matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 0, 2] = c + (1 - c) * ax * ax, -s * az, (1 - c) * ax * az
    matrix[..., 1, 0], matrix[..., 1, 1], matrix[..., 1, 2] = s * az, c, -s * ax
    matrix[..., 2, 0], matrix[..., 2, 1], matrix[..., 2, 2] = (1 - c) * ax * az, s * ax, c + (1 - c) * az * az
    return matrix


def _limb_axes(plane: Array64, lift: Array64, twist: Array64, hinge: Array64) -> tuple[Array64, Array64, Array64]:
    """Axes (..., 3) in the outward frame of the parent: along the upper segment (towards the parent), and the up and
    forward axes of the lower segment after its hinge has turned by `hinge` (positive: the segment goes backwards)."""
    swing = _swing(plane, lift)
    up, forward = swing[..., 1], swing[..., 2] * np.cos(twist)[..., None] - swing[..., 0] * np.sin(twist)[..., None]
    c, s = np.cos(hinge)[..., None], np.sin(hinge)[..., None]
    return up, c * up + s * forward, c * forward - s * up


def _hinge_turned(up: Array64, forward: Array64, angle: Array64) -> tuple[Array64, Array64]:
    """Up and forward axes after a further turn of `angle` backwards about the same hinge axis."""
    c, s = np.cos(angle)[..., None], np.sin(angle)[..., None]
    return c * up + s * forward, c * forward - s * up


def torso(build: Build, angles: Array64, root: Array64, orientation: Array64) -> tuple[Array64, Array64, Array64]:
    """Pelvis and chest frames.

    Args:
        angles: (T, D) joint angles, inside their limits.
        root: (T, 3) position of the pelvis, metres.
        orientation: (T, 3) pitch (forwards), heading (to the left) and roll (leaning left) of the pelvis.

    Returns:
        Rotation (T, 3, 3) of the pelvis, rotation (T, 3, 3) of the chest, positions (T, 2, 3) of belly and neck base.
        A spine bends half at the pelvis and half at the belly.
    """
    spine = angles[:, :3] * 0.5
    step = rotation(spine[:, 0], spine[:, 1], spine[:, 2])
    pelvis = rotation(orientation[:, 0], orientation[:, 1], orientation[:, 2])
    lumbar = pelvis @ step
    chest = lumbar @ step
    belly = root + build.lower_trunk * lumbar[:, :, 1]
    return pelvis, chest, np.stack([belly, belly + build.upper_trunk * chest[:, :, 1]], axis=1)


def _shoulders(build: Build, shrug: Array64) -> Array64:
    """Shoulders (..., 3) from the base of the neck, in the outward chest frame."""
    c, s = np.cos(shrug), np.sin(shrug)
    width, drop = build.shoulder_half_width, build.shoulder_drop
    return np.stack([width * c + drop * s, width * s - drop * c, np.zeros_like(c)], axis=-1)


def forward_kinematics(build: Build, angles: Array64, root: Array64, orientation: Array64) -> Array32:
    """Positions of all joints.

    Args:
        angles: (T, D) joint angles in the order of `DOFS`; clamped to `LIMITS` here.
        root: (T, 3) position of the pelvis, metres.
        orientation: (T, 3) pitch (forwards), heading (to the left) and roll (leaning left) of the pelvis.

    Returns:
        (T, 21, 3) float32 in the order of `JOINTS`, metres.
    """
    angles = clamp(angles)
    pelvis, chest, spine = torso(build, angles, root, orientation)
    belly, neck = spine[:, 0], spine[:, 1]
    skull = chest @ rotation(angles[:, 3], angles[:, 4], angles[:, 5])

    shrug, plane, lift, twist = (sides(angles, name) for name in ("shrug", *_SHOULDER))
    elbow, wrist = sides(angles, "elbow"), sides(angles, "wrist")
    upper, lower, front = _limb_axes(plane, lift, twist, -elbow)
    palm, _ = _hinge_turned(lower, front, -wrist)
    shoulders = _shoulders(build, shrug)
    elbows = shoulders - build.upper_arm * upper
    wrists = elbows - build.forearm * lower
    arms = np.stack([shoulders, elbows, wrists, wrists - build.hand * palm], axis=1)

    plane, lift, twist = (sides(angles, name) for name in _HIP)
    upper, lower, front = _limb_axes(plane, lift, twist, sides(angles, "knee"))
    instep, sole = _hinge_turned(lower, front, sides(angles, "ankle"))
    hips = np.broadcast_to(np.array([build.hip_half_width, 0.0, 0.0]), upper.shape)
    knees = hips - build.thigh * upper
    ankles = knees - build.shank * lower
    toes = ankles + build.foot * sole - (build.ankle_height - build.foot_radius) * instep
    legs = np.stack([hips, knees, ankles, toes], axis=1)

    frames = len(angles)
    positions = np.empty((frames, len(JOINTS), 3), np.float32)
    positions[:, 0], positions[:, 1], positions[:, 2] = root, belly, neck
    positions[:, 3] = neck + build.head * (0.995 * skull[:, :, 1] + 0.0998749 * skull[:, :, 2])
    positions[:, 4] = neck + build.head * (0.45 * skull[:, :, 1] + 0.44 * skull[:, :, 2])
    positions[:, 5:13] = (arms * _SIDES).reshape(frames, 8, 3) @ chest.transpose(0, 2, 1) + neck[:, None]
    positions[:, 13:21] = (legs * _SIDES).reshape(frames, 8, 3) @ pelvis.transpose(0, 2, 1) + root[:, None]
    return positions


def _two_bones(
    target: Array64, pole: Array64, upper: float, lower: float, joint: tuple[str, ...], hinge: str, backwards: float
) -> tuple[Array64, Array64, Array64, Array64]:
    """Angles (T, 2) plane, lift, twist and hinge that bring the end of a limb to `target`.

    `target` and `pole` are (T, 2, 3) in the outward frame of the parent, from the ball joint; the hinge is pushed
    towards the direction `pole`. A target too far or too near is approached along its direction. `backwards` is 1 where
    the hinge bends backwards (knee) and −1 where it bends forwards (elbow).
    """
    distance = np.sqrt((target**2).sum(-1, keepdims=True)) + 1e-9
    along = target / distance
    nearest = np.sqrt(upper**2 + lower**2 + 2 * upper * lower * np.cos(LIMITS[f"left_{hinge}"][1]))
    distance = np.clip(distance, nearest, 0.998 * (upper + lower))
    across = pole - (pole * along).sum(-1, keepdims=True) * along
    across /= np.sqrt((across**2).sum(-1, keepdims=True)) + 1e-9
    cosine = (upper**2 + distance**2 - lower**2) / (2 * upper * distance)
    first = along * cosine + across * np.sqrt(1 - cosine**2)
    second = (along * distance - first * upper) / lower
    bent = np.arccos(np.clip((first * second).sum(-1), -1.0, 1.0))

    lift, plane = np.arccos(np.clip(-first[..., 1], -1.0, 1.0)), np.arctan2(first[..., 0], first[..., 2])
    (front, behind), (least, most) = LIMITS[f"left_{joint[0]}"], LIMITS[f"left_{joint[1]}"]
    # A limb that points behind its planes is the same limb lifted negatively, or over the top, in the opposite plane.
    flip = ((plane < front) | (plane > behind)) & ((lift < -least) | (lift > 2 * np.pi - most))
    plane = np.where(flip, plane - np.copysign(np.pi, plane), plane)
    lift = np.where(flip, np.where(lift < np.pi / 2, -lift, 2 * np.pi - lift), lift)
    local = (second[..., None, :] @ _swing(plane, lift))[..., 0, :] * -backwards
    return plane, lift, -np.arctan2(local[..., 0], local[..., 2]), bent


def solve_legs(
    build: Build, angles: Array64, root: Array64, orientation: Array64, ankles: Array64, pitch: Array64, yaw: Array64
) -> Array64:
    """Joint angles (T, D) whose legs bring the ankles to given places, knees over the toes.

    Args:
        build: the person.
        angles: (T, D) joint angles; those of the legs are replaced in the copy that is returned.
        root: (T, 3) position of the pelvis.
        orientation: (T, 3) as in `forward_kinematics`.
        ankles: (T, 2, 3) wanted positions of the left and right ankle, metres.
        pitch: (T, 2) how far the toes point down (0: sole parallel to the ground).
        yaw: (T, 2) direction of the feet, to the left, 0 is +z.
    """
    pelvis = rotation(orientation[:, 0], orientation[:, 1], orientation[:, 2])
    target = (ankles - root[:, None]) @ pelvis * _SIDES - np.array([build.hip_half_width, 0.0, 0.0])
    # Knees turn about the sideways axis of the foot, whichever way the leg points.
    outwards = np.stack([np.cos(yaw), np.zeros_like(yaw), -np.sin(yaw)], axis=-1) * _SIDES[:, :1] @ pelvis * _SIDES
    pole = np.cross(target, outwards)
    plane, lift, twist, knee = _two_bones(target, pole, build.thigh, build.shank, _HIP, "knee", 1.0)
    _, lower, front = _limb_axes(plane, lift, twist, knee)
    # The height of the toes depends on the shank's axes in the world.
    upright = pelvis[:, None, 1, :] * _SIDES
    ankle = np.arctan2((front * upright).sum(-1), (lower * upright).sum(-1)) + pitch
    solved = angles.copy()
    for name, value in zip((*_HIP, "knee", "ankle"), (plane, lift, twist, knee, ankle), strict=True):
        sides(solved, name)[:] = value
    return solved


def solve_arms(build: Build, angles: Array64, targets: Array64, weights: Array64) -> Array64:
    """Joint angles (T, D) whose arms are drawn from their pose towards given places of the wrists.

    Args:
        build: the person.
        angles: (T, D) joint angles, inside their limits; those of the arms are replaced in the copy that is returned.
        targets: (T, 2, 3) wanted positions of the left and right wrist, metres, from the base of the neck in the
            chest's frame (left, up, forwards).
        weights: (T, 2) in [0, 1]: 0 keeps the wrist where the pose has it, 1 brings it to the target. The elbow stays
            on the side of the arm where the pose has it.
    """
    plane, lift, twist = (sides(angles, name) for name in _SHOULDER)
    upper, lower, _ = _limb_axes(plane, lift, twist, -sides(angles, "elbow"))
    posed = -build.upper_arm * upper - build.forearm * lower
    wanted = targets * _SIDES - _shoulders(build, sides(angles, "shrug"))
    target = posed + weights[..., None] * (wanted - posed)
    # A straight arm says nothing about its elbow: down and outwards, as arms do, but forwards for a hand overhead.
    height = np.maximum(target[..., 1:2], 0.0) / (build.upper_arm + build.forearm)
    pole = lower - upper + np.array([0.3, -0.5, -0.2]) + height * np.array([0.3, 0.4, 0.9])
    solved = angles.copy()
    values = _two_bones(target, pole, build.upper_arm, build.forearm, _SHOULDER, "elbow", -1.0)
    for name, value in zip((*_SHOULDER, "elbow"), values, strict=True):
        sides(solved, name)[:] = np.where(weights > 0, value, sides(angles, name))
    return solved
