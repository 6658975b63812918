"""From what a programme wants to joints: planted feet, held things, and the solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dimofs.datasets.synthetic.skeleton import (
    DOF,
    DOFS,
    JOINT,
    JOINTS,
    Array32,
    Array64,
    Build,
    clamp,
    forward_kinematics,
    sides,
    solve_arms,
    solve_legs,
    torso,
    unit,
)
from dimofs.datasets.synthetic.tracks import CHANNEL, Stage, drift

#: x of the left and of the right side.
SIDE = np.array([1.0, -1.0])


@dataclass(frozen=True)
class Feet:
    """Where the feet are."""

    ankles: Array64  #: (T, 2, 3) metres, of a foot flat on its ground
    pitch: Array64  #: (T, 2) toes down, radians; the heel rises about the toes
    yaw: Array64  #: (T, 2) to the left, radians


@dataclass(frozen=True)
class Prop:
    """A thing that is held, thrown or hung from; it never collides with anything."""

    kind: str  #: "ball" or "stick"
    start: Array32  #: (T, 3) metres; the centre of a ball
    end: Array32  #: (T, 3) metres; the same as `start` for a ball
    radius: float  #: metres
    present: NDArray[np.bool_]  #: (T,)


@dataclass(frozen=True)
class Plan:
    """What a programme wants; `solve` finds the joints."""

    track: Array64  #: (T, C)
    feet: Feet | None = None  #: None: planted as the track's foot channels say
    hanging: bool = False  #: the legs are posed by their angles and the feet reach for nothing
    reach: Array64 | None = None  #: (T, 2) how far each wrist obeys its hand channels, 0 to 1
    grasp: Array64 | None = None  #: (T, 2, 3) wrists to be reached in the world, metres
    grasping: Array64 | None = None  #: (T, 2) how far they are obeyed, 0 to 1
    props: Callable[[Array32], tuple[Prop, ...]] = field(default=lambda positions: ())


def both_hands(stage: Stage, left: float = 1.0, right: float = 1.0) -> Array64:
    """Constant weights (T, 2) of the left and right hand."""
    return np.tile([left, right], (stage.frames, 1))


def standing_feet(build: Build, track: Array64) -> Feet:
    """Feet where the track's foot channels put them."""
    out, ahead, rise, pitch, turn = (
        track[:, CHANNEL[f"left_foot_{part}"] : CHANNEL[f"left_foot_{part}"] + 2]
        for part in ("out", "ahead", "rise", "pitch", "turn")
    )
    ankles = np.stack(
        [SIDE * (build.hip_half_width + out * build.leg), rise * build.leg + build.ankle_height, ahead * build.leg],
        axis=-1,
    )
    return Feet(ankles, pitch, SIDE * turn)


def _heels_raised(build: Build, feet: Feet) -> Array64:
    """Ankles (T, 2, 3) once heels have risen: a foot that pitches down turns about its toes, not about its ankle."""
    pitch = np.maximum(feet.pitch, 0.0)
    drop = build.ankle_height - build.foot_radius
    forward = build.foot * (1 - np.cos(pitch)) + drop * np.sin(pitch)
    up = build.foot * np.sin(pitch) - drop * (1 - np.cos(pitch))
    return feet.ankles + np.stack([np.sin(feet.yaw) * forward, up, np.cos(feet.yaw) * forward], axis=-1)


def _lowered(build: Build, root: Array64, orientation: Array64, ankles: Array64) -> Array64:
    """The pelvis (T, 3), no higher than legs reach from where the ankles are."""
    hips = root[:, None] + build.hip_half_width * SIDE[:, None] * np.stack(
        [np.cos(orientation[:, 1]), -np.sin(orientation[:, 2]), -np.sin(orientation[:, 1])], axis=-1
    )[:, None]  # fmt: skip
    across = ((ankles - hips)[..., [0, 2]] ** 2).sum(-1)
    highest = ankles[..., 1] + np.sqrt(np.maximum((0.995 * build.leg) ** 2 - across, (0.3 * build.leg) ** 2))
    lowered = root.copy()
    lowered[:, 1] = np.minimum(root[:, 1], (highest - (hips[..., 1] - root[:, None, 1])).min(axis=1))
    return lowered


def solve(stage: Stage, plan: Plan) -> Array32:
    """Joint positions (T, 21, 3) float32, metres, of a plan: small tremors, legs, arms, and nobody under the ground."""
    build, track = stage.build, plan.track.copy()
    arms, hands = DOF["left_hip_plane"], slice(CHANNEL["left_hand_x"], CHANNEL["tool_x"])
    noise = drift(stage, arms + 8)
    track[:, :arms] += noise[:, :arms] * stage.between(0.008, 0.028)
    track[:, hands] += noise[:, arms : arms + 6] * 0.008
    column = CHANNEL["x"]
    root = track[:, column : column + 3] * build.leg + [0.0, build.leg + build.ankle_height, 0.0]
    root[:, ::2] += noise[:, arms + 6 :] * 0.004 * build.leg
    orientation = track[:, column + 3 : column + 6]

    angles = track[:, : len(DOFS)].copy()
    # Collar bones rise with the arms.
    sides(angles, "shrug")[:] += 0.17 * (1 - np.cos(np.clip(sides(angles, "shoulder_lift"), 0, np.pi)))
    angles = clamp(angles)
    if not plan.hanging:
        feet = plan.feet or standing_feet(build, track)
        ankles = _heels_raised(build, feet)
        root = _lowered(build, root, orientation, ankles)
        angles = clamp(solve_legs(build, angles, root, orientation, ankles, feet.pitch, feet.yaw))
    if plan.reach is not None:
        offsets = build.arm * track[:, hands].reshape(-1, 2, 3)
        rise = np.clip(offsets[..., 1] / build.arm, 0, 1)
        sides(angles, "shrug")[:] = np.where(plan.reach > 0, 0.3 * rise, sides(angles, "shrug"))
        angles = clamp(solve_arms(build, angles, offsets - [0.0, build.shoulder_drop, 0.0], plan.reach))
    if plan.grasp is not None and plan.grasping is not None:
        _, chest, spine = torso(build, angles, root, orientation)
        angles = clamp(solve_arms(build, angles, (plan.grasp - spine[:, 1, None]) @ chest, plan.grasping))
    positions = forward_kinematics(build, angles, root, orientation)
    soles = positions[:, JOINT["left_ankle"] :, 1] - np.repeat([build.ankle_height, build.foot_radius], 2)
    heights = np.minimum(positions[..., 1].min(axis=1) - 0.02, soles.min(axis=1))
    positions[..., 1] -= np.minimum(heights, 0.0)[:, None].astype(np.float32)
    return positions


def mirrored(positions: Array32) -> Array32:
    """Positions (T, 21, 3) of the same motion done by the other hand and foot."""
    swap = [JOINT[name.replace("left", "L").replace("right", "left").replace("L", "right")] for name in JOINTS]
    return positions[:, swap] * np.array([-1, 1, 1], np.float32)


def chest_axes(positions: Array32) -> Array64:
    """Axes (T, 3, 3) of the chest as columns: to the left, up, forwards."""
    left = unit(positions[:, JOINT["left_shoulder"]] - positions[:, JOINT["right_shoulder"]])
    up = positions[:, JOINT["head_bottom"]] - positions[:, JOINT["belly"]]
    up = unit(up - (up * left).sum(-1, keepdims=True) * left)
    return np.stack([left, up, np.cross(left, up)], axis=-1)
