"""Going: walks, runs and stairs along a path, without skating feet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dimofs.datasets.synthetic.plan import SIDE, Feet, Plan
from dimofs.datasets.synthetic.props import carried
from dimofs.datasets.synthetic.skeleton import Array64
from dimofs.datasets.synthetic.tracks import CHANNEL, FPS, Pose, Stage, drift, ease, key_poses


@dataclass(frozen=True)
class Gait:
    """A way of going. Lengths in leg lengths, a cycle is two steps."""

    cadence: float  #: cycles a second
    stride: float  #: length of a cycle
    stance: float  #: part of the cycle that a foot is on the ground; below 0.5 there is flight
    lift: float  #: height of the swinging ankle
    bounce: float  #: up and down of the pelvis; positive: highest over the standing foot (walk), negative: run
    height: float  #: mean height of the pelvis under its standing height
    push: float  #: how far the heel rises at push-off, radians
    strike: float  #: toes up at heel strike, radians
    width: float  #: feet beside the path, from below the hip
    climb: float = 0.0  #: height of a stair


def walk_along(
    stage: Stage, gait: Gait, track: Array64, curvature: float, tempo: Array64, wander: float = 0.0
) -> tuple[Array64, Feet, Array64]:
    """Go along a curved path without skating.

    Args:
        stage: who goes.
        gait: how.
        track: (T, C) what the rest of the body does; pelvis channels are added to.
        curvature: turn to the left in a cycle, radians.
        tempo: (T,) relative speed of the gait over time, about 1.
        wander: further turning to and fro, radians.

    Returns:
        The track with the pelvis' path and bounce, the feet, and the phase (T,) of the gait in cycles: the left foot
        strikes at whole numbers, the right one half a cycle later.
    """
    build, rng = stage.build, stage.rng
    speed = gait.cadence * tempo / FPS
    phase = rng.uniform() + np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2)])

    # The path as a function of phase, from a cycle before the first frame to one after the last.
    grid = np.arange(phase[0] - 1.5, phase[-1] + 1.5, 0.04)
    turn = curvature * (grid - phase[0]) + wander * np.sin(0.9 * grid + rng.uniform(0, 2 * np.pi))
    turn -= np.interp(phase[0], grid, turn)
    step = gait.stride * 0.04 * np.stack([np.sin(turn), np.cos(turn)])
    path = np.cumsum(step, axis=1)
    path -= np.stack([np.interp(phase[0], grid, axis) for axis in path])[:, None]

    def at(where: Array64) -> tuple[Array64, Array64, Array64]:
        return np.interp(where, grid, path[0]), np.interp(where, grid, path[1]), np.interp(where, grid, turn)

    own = phase[:, None] + [0.0, 0.5]  # each foot's own phase, (T, 2)
    cycle = np.floor(own)
    part = own - cycle
    middle = cycle + gait.stance / 2 - [0.0, 0.5]  # phase at which the body passes over the planted foot
    swing = np.clip((part - gait.stance) / (1 - gait.stance), 0.0, 1.0)
    moved = ease(swing) * 0.7 + swing * 0.3
    planted = []
    for offset in (0.0, 1.0):
        x, z, heading = at(middle + offset)
        beside = SIDE * (build.hip_half_width / build.leg + gait.width)
        height = gait.climb * np.round(2 * (middle + offset) - gait.stance)
        planted.append(np.stack([x + np.cos(heading) * beside, height, z - np.sin(heading) * beside, heading], axis=-1))
    feet = planted[0] + (planted[1] - planted[0]) * moved[..., None]
    # A foot leaves the ground fast and comes down gently; up a stair it must clear the edge.
    arc = np.sin(np.pi * swing**0.8)
    feet[..., 1] = planted[0][..., 1] + (planted[1] - planted[0])[..., 1] * ease(
        1.5 * swing if gait.climb > 0 else swing
    )
    feet[..., 1] += gait.lift * arc
    ground = min(planted[0][..., 1].min(), planted[1][..., 1].min())
    feet[..., 1] -= ground
    pitch = np.interp(
        part,
        [0.0, 0.12 * gait.stance, 0.55 * gait.stance, gait.stance, gait.stance + 0.35 * (1 - gait.stance), 0.97, 1.0],
        [-gait.strike, 0.0, 0.0, gait.push, 0.6 * gait.push, -gait.strike, -gait.strike],
    )
    ankles = feet[..., :3] * build.leg + [0.0, build.ankle_height, 0.0]

    x, z, heading = at(phase)
    over = 2 * np.pi * (phase - gait.stance / 2)  # 0 when the body is over the left foot
    result = track.copy()
    sway = 0.025 * np.cos(over)
    result[:, CHANNEL["x"]] += x + np.cos(heading) * sway
    result[:, CHANNEL["z"]] += z - np.sin(heading) * sway
    result[:, CHANNEL["y"]] += gait.bounce * np.cos(2 * over) - gait.height
    result[:, CHANNEL["y"]] += gait.climb * (2 * phase - gait.stance) - ground
    result[:, CHANNEL["heading"]] += heading - 0.09 * np.cos(2 * np.pi * phase)
    yaw = feet[..., 3] + SIDE * 0.12
    return result, Feet(ankles, pitch, yaw), phase


def go(stage: Stage, gait: Gait, base: Pose, swing: float, curvature: float, wander: float = 0.0) -> Plan:
    """Go with arms that swing against the legs by `swing` radians."""
    track = key_poses(stage, np.linspace(0, 1, stage.frames), base, [(0.0, {})])
    tempo = np.exp(0.1 * drift(stage, 1, fastest=1.0)[:, 0])
    track, feet, phase = walk_along(stage, gait, track, curvature, tempo, wander)
    forward = np.cos(2 * np.pi * (phase - stage.between(-0.02, 0.05)))
    for side, sign in (("left", -1.0), ("right", 1.0)):
        reach = swing * np.exp(stage.rng.normal(0, 0.12))
        track[:, CHANNEL[f"{side}_shoulder_lift"]] += sign * reach * forward
        track[:, CHANNEL[f"{side}_elbow"]] += (0.35 * sign * forward + 0.1) * reach
    track[:, CHANNEL["spine_twist"]] += (0.1 + 0.12 * swing) * forward
    track[:, CHANNEL["roll"]] += 0.035 * np.sin(2 * np.pi * phase)
    track[:, CHANNEL["spine_side"]] -= 0.035 * np.sin(2 * np.pi * phase)
    return Plan(track, feet, props=lambda positions: carried(stage, positions, 0.15))
