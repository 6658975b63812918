"""A recorded motion done by a person of another build: the segments turn as in the clip, with the person's own lengths.

Every point of the skeleton follows from the turns of the segments alone, as in `skeleton.forward_kinematics`. Where the
person goes scales with the length of the legs. Other proportions would leave the feet above or in the ground, so the
person is raised frame by frame until the lowest point is as far above the ground as the recorded person's: feet that
stood stand, hands that carried carry, and who flew flies.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from dimofs.datasets.synthetic.motion_clips import HINGES, MotionClip, at_times, heading, to_the_left
from dimofs.datasets.synthetic.motions import Performance
from dimofs.datasets.synthetic.plan import mirrored
from dimofs.datasets.synthetic.skeleton import JOINT, JOINTS, Array32, Array64, Build
from dimofs.datasets.synthetic.tracks import FPS

#: The humanoid that the clips were fitted to: a quarter of the lengths of pybullet_data's humanoid.urdf.
HUMANOID = Build(
    height=1.62, head=0.28, lower_trunk=0.236, upper_trunk=0.25, shoulder_half_width=0.183, shoulder_drop=0.006,
    hip_half_width=0.085, upper_arm=0.275, forearm=0.259, hand=0.06, thigh=0.4215, shank=0.41, ankle_height=0.05,
    foot=0.11, head_radius=0.1, neck_radius=0.05, chest_radius=0.11, waist_radius=0.1, hip_radius=0.09,
    upper_arm_radius=0.045, forearm_radius=0.04, hand_radius=0.04, thigh_radius=0.055, shank_radius=0.05,
    foot_radius=0.0275,
)  # fmt: skip

_LEFT, _UP, _AHEAD = np.eye(3)
_RIGHTWARDS = -_LEFT  # the axis of every hinge
_TO_SIDE = {"left": 1.0, "right": -1.0}


def perform_clip(clip: MotionClip, frames: int, build: Build, rng: np.random.Generator) -> Performance:
    """A take of a clip from a random phase, by the other hand and foot as often as not.

    Args:
        clip: what is done. One that is shorter than the take begins again if it loops, else it ends in its last pose;
            a longer one does not come to its end, for few loops close without a jerk.
        frames: T, at 30 a second.
        build: who performs.
        rng: every random draw comes from here.

    Returns:
        Positions in metres; the person starts above the origin, faces +z and stands on y = 0.
    """
    lasts = (frames - 1) / FPS
    spare = clip.seconds - lasts
    start = rng.uniform(0.0, clip.seconds if clip.loops and spare < 0 else max(0.0, spare))
    take = at_times(clip, start + np.arange(frames) / FPS)
    positions = retargeted(take, build)
    origin = positions[0, JOINT["pelvis"]] * (1, 0, 1)
    turn = to_the_left(-float(heading(take.turns["pelvis"][0]))).as_matrix()
    positions = ((positions - origin) @ turn.T).astype(np.float32)
    return Performance(mirrored(positions) if rng.random() < 0.5 else positions, ())


def retargeted(clip: MotionClip, build: Build) -> Array32:
    """Positions (T, 21, 3) of the joints (`skeleton.JOINTS`) of a person of that build in the clip's frames, metres."""
    scale = (build.leg + build.ankle_height) / (HUMANOID.leg + HUMANOID.ankle_height)
    above = scale * np.maximum(lowest(HUMANOID, joint_positions(clip, HUMANOID)), 0.0)  # a fit sinks in by centimetres
    positions = joint_positions(clip, build)
    positions += (scale - 1) * clip.root[:, None] * (1, 0, 1)
    positions[..., 1] += (above - lowest(build, positions))[:, None]
    return positions.astype(np.float32)


def joint_positions(clip: MotionClip, build: Build) -> Array64:
    """Forward kinematics: positions (T, 21, 3) of the joints, metres, with the build's lengths.

    The pelvis is where the clip has it. Hands go on straight from the forearm: the clips say nothing about wrists.
    """
    local = clip.turns | {
        name: Rotation.from_rotvec(clip.hinges[:, column, None] * _RIGHTWARDS) for column, name in enumerate(HINGES)
    }
    pelvis = local["pelvis"]
    chest = pelvis * local["chest"]
    skull = chest * local["neck"]
    place = {"pelvis": clip.root}
    place["belly"] = clip.root + build.lower_trunk * pelvis.apply(_UP)
    place["head_bottom"] = place["belly"] + build.upper_trunk * chest.apply(_UP)
    place["head_top"] = place["head_bottom"] + build.head * skull.apply(0.995 * _UP + 0.0998749 * _AHEAD)
    place["nose"] = place["head_bottom"] + build.head * skull.apply(0.45 * _UP + 0.44 * _AHEAD)
    for side, sign in _TO_SIDE.items():
        shoulder = sign * build.shoulder_half_width * _LEFT - build.shoulder_drop * _UP
        upper = chest * local[f"{side}_shoulder"]
        lower = upper * local[f"{side}_elbow"]
        place[f"{side}_shoulder"] = place["head_bottom"] + chest.apply(shoulder)
        place[f"{side}_elbow"] = place[f"{side}_shoulder"] - build.upper_arm * upper.apply(_UP)
        place[f"{side}_wrist"] = place[f"{side}_elbow"] - build.forearm * lower.apply(_UP)
        place[f"{side}_hand"] = place[f"{side}_wrist"] - build.hand * lower.apply(_UP)
        thigh = pelvis * local[f"{side}_hip"]
        shank = thigh * local[f"{side}_knee"]
        sole = shank * local[f"{side}_ankle"]
        place[f"{side}_hip"] = clip.root + pelvis.apply(sign * build.hip_half_width * _LEFT)
        place[f"{side}_knee"] = place[f"{side}_hip"] - build.thigh * thigh.apply(_UP)
        place[f"{side}_ankle"] = place[f"{side}_knee"] - build.shank * shank.apply(_UP)
        toe = build.foot * _AHEAD - (build.ankle_height - build.foot_radius) * _UP
        place[f"{side}_toe"] = place[f"{side}_ankle"] + sole.apply(toe)
    return np.stack([place[name] for name in JOINTS], axis=1)


def lowest(build: Build, positions: Array64) -> Array64:
    """Height (T,) of the lowest point of a body whose joints are at positions (T, 21, 3), metres."""
    b = build
    around = {
        "pelvis": b.hip_radius, "belly": b.waist_radius, "head_bottom": b.neck_radius, "head_top": 0.0, "nose": 0.0,
        "shoulder": b.upper_arm_radius, "elbow": b.forearm_radius, "wrist": b.forearm_radius, "hand": b.hand_radius,
        "hip": b.thigh_radius, "knee": b.shank_radius, "ankle": b.ankle_height, "toe": b.foot_radius,
    }  # fmt: skip
    below = np.array([around[name.removeprefix("left_").removeprefix("right_")] for name in JOINTS])
    return (positions[..., 1] - below).min(axis=1)
