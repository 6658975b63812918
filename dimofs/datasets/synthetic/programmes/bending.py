"""Sit, pick something up, squat, lunge and stretch."""

from __future__ import annotations

import numpy as np

from dimofs.datasets.synthetic.plan import Plan, Prop
from dimofs.datasets.synthetic.props import ball, carried, hand, hands, seen
from dimofs.datasets.synthetic.skeleton import Array32
from dimofs.datasets.synthetic.tracks import (
    CHANNEL,
    Pose,
    Stage,
    beats,
    bump,
    clock,
    frame_at,
    key_poses,
    resting,
    seated,
)


def sit(stage: Stage) -> Plan:
    """Lower onto a seat, hands to the knees, the seat or nowhere. Played backwards it is `stand`."""
    b = stage.between
    down = {name: value for name, value in seated(stage).items() if "foot" not in name}  # feet stay where they stood
    lean = b(0.25, 0.75)
    hands_to = {"shoulder_plane": b(0.0, 0.5), "shoulder_lift": b(0.2, 0.9), "elbow": b(0.4, 1.2)}
    base = resting(stage)
    if stage.chance(0.3):
        base |= {"left_foot_ahead": b(0.0, 0.15), "right_foot_ahead": -b(0.0, 0.15)}
    start = b(0.0, 0.12)
    track = key_poses(stage, clock(stage, 1.0), base, [
        (0.0, {}),
        (start + 0.02, {}),
        (0.38, {"y": 0.4 * down["y"], "z": 0.55 * down["z"], "pitch": lean, "spine_bend": 0.5,
                "neck_bend": -0.2} | hands_to),
        (0.75, down | {"pitch": 0.7 * lean, "spine_bend": 0.45}),
        (b(0.9, 1.0), down | {"neck_bend": b(-0.1, 0.2), "shoulder_lift": b(0.2, 0.7), "elbow": b(0.4, 1.3)}),
        (1.01, {}),
    ])  # fmt: skip
    return Plan(track, props=lambda positions: carried(stage, positions, 0.1))


def pick(stage: Stage) -> Plan:
    """Bend down to something on the ground, take it, come up again."""
    b = stage.between
    squat = stage.rng.uniform()
    grab, radius = b(0.42, 0.58), b(0.035, 0.12)
    where = np.array([b(-0.3, 0.15), 0.0, b(0.25, 0.5)]) * stage.build.leg
    down = {
        "y": -0.2 - 0.42 * squat, "z": -0.16 + 0.06 * squat, "pitch": 0.95 - 0.35 * squat,
        "spine_bend": b(0.7, 1.0), "neck_bend": b(-0.3, 0.1), "neck_turn": -0.1,
        "right_shoulder_plane": 0.1, "right_shoulder_lift": 1.2, "right_elbow": 0.25,
        "left_shoulder_plane": b(0.2, 0.8), "left_shoulder_lift": b(0.2, 1.2), "left_elbow": b(0.3, 1.0),
    }  # fmt: skip
    if stage.chance(0.5):
        down |= {"left_foot_ahead": b(0.1, 0.25), "right_foot_ahead": -b(0.1, 0.3), "right_foot_pitch": 0.5 * squat}
    two = stage.chance(0.4)
    time = clock(stage, 1.2, grab)
    first = b(0.0, 0.4)  # some takes begin half-way down
    base = resting(stage)
    half = {name: base.get(name, 0.0) + first * (value - base.get(name, 0.0)) for name, value in down.items()}
    track = key_poses(stage, time, base | {k: v for k, v in half.items() if "foot" not in k}
                      | {k: v for k, v in down.items() if "foot" in k}, [
        (0.0, {}), (grab - 0.03, down), (grab + b(0.02, 0.1), {}),
        (1.0, {"y": b(-0.1, -0.02), "z": 0.0, "pitch": 0.1, "spine_bend": b(0.1, 0.35), "right_shoulder_lift": b(0.3,
                                                                                                                 0.9),
               "right_elbow": b(0.5, 1.5), "left_shoulder_lift": 0.3, "neck_bend": b(0.0, 0.4)}),
    ])  # fmt: skip
    moment = frame_at(time, grab)
    near = bump(time, grab - 0.25, grab - 0.02, grab + 0.02, grab + 0.25)
    wrist = where + np.array([0.0, radius + 0.7 * stage.build.hand, -0.5 * stage.build.hand])
    grasp = np.tile(np.stack([wrist + np.array([0.16, 0.02, 0.0]), wrist]), (stage.frames, 1, 1))
    visible = seen(stage, 0.7)

    def props(positions: Array32) -> tuple[Prop, ...]:
        held = (hands(positions) if two else hand(positions, "right")) - [0.0, 0.4 * radius, 0.0]
        lying = np.repeat(held[moment][None] * [1, 0, 1] + [0, radius, 0], stage.frames, axis=0)
        lifted = (
            held[moment:] + (lying[moment] - held[moment]) * np.exp(-0.6 * np.arange(stage.frames - moment))[:, None]
        )
        lying[moment:] = lifted
        return (ball(lying, radius, visible),)

    return Plan(track, grasp=grasp, grasping=np.stack([near * two, near], axis=-1), props=props)


def squat(stage: Stage) -> Plan:
    """Crouch and rise, arms forward or hanging, from once to twice."""
    b = stage.between
    depth, arms = b(0.3, 0.62), b(0.3, 1.6)
    down = {"y": -depth, "z": -0.22 * depth, "pitch": 0.9 * depth, "spine_bend": 0.25, "shoulder_plane": 0.2,
            "shoulder_lift": arms, "elbow": b(0.1, 0.8), "neck_bend": -0.25}  # fmt: skip
    if stage.chance(0.3):
        down |= {"foot_pitch": 0.45, "z": 0.08}  # on the toes
    up = {
        "y": -0.03,
        "z": 0.0,
        "pitch": 0.05,
        "spine_bend": 0.08,
        "shoulder_lift": 0.3,
        "neck_bend": 0.0,
        "foot_pitch": 0.0,
    }
    keys: list[tuple[float, Pose]] = [(0.0, {}), (b(0.3, 0.45), down), (b(0.5, 0.6), {}), (1.0, up)]
    if stage.chance(0.5):
        keys = [(0.0, down), (b(0.35, 0.45), up), (b(0.75, 0.9), down), (1.0, {"y": -0.6 * depth})]
    return Plan(
        key_poses(stage, clock(stage), resting(stage) | {"foot_out": b(0.05, 0.2), "foot_turn": b(0.2, 0.6)}, keys)
    )


def lunge(stage: Stage) -> Plan:
    """A long step forwards or aside into a bent knee, and often back."""
    b = stage.between
    far, dip = b(0.5, 0.95), b(0.18, 0.4)
    arms = {"shoulder_plane": b(0.2, 1.5), "shoulder_lift": b(0.3, 2.4), "elbow": b(0.2, 1.6)}
    if stage.chance(0.6):
        mid = {"left_foot_ahead": 0.5 * far, "left_foot_rise": 0.12, "z": 0.15 * far}
        out = {"left_foot_ahead": far, "left_foot_rise": 0.0, "z": 0.48 * far, "y": -dip, "pitch": b(0.0, 0.35),
               "right_foot_pitch": b(0.4, 0.8)}  # fmt: skip
    else:
        mid = {"left_foot_out": 0.5 * far, "left_foot_rise": 0.1, "x": 0.15 * far}
        out = {"left_foot_out": 0.9 * far, "left_foot_rise": 0.0, "x": 0.6 * far, "y": -dip, "pitch": b(0.1, 0.5),
               "left_foot_turn": 0.5}  # fmt: skip
    keys: list[tuple[float, Pose]] = [
        (0.0, {}),
        (0.2, mid),
        (b(0.38, 0.48), out | arms),
        (b(0.55, 0.68), {"y": -dip - 0.03}),
    ]
    if stage.chance(0.6):
        home = dict.fromkeys(("x", "z", "pitch", "right_foot_pitch"), 0.0)
        keys += [(0.83, mid | {"y": -0.1} | arms), (1.0, home | {"y": -0.03, "left_foot_ahead": 0.0,
                                                                 "left_foot_out": 0.08,
                                                                "left_foot_rise": 0.0,
                                                                 "shoulder_lift": 0.3})]  # fmt: skip
    else:
        keys.append((1.0, {"y": -dip + 0.04}))
    return Plan(key_poses(stage, clock(stage, 1.3), resting(stage), keys))


def stretch(stage: Stage) -> Plan:
    """Arms up and out, a long pull to one side or backwards."""
    b = stage.between
    side = b(-0.4, 0.4)
    up = {"shoulder_plane": b(0.2, 1.5), "shoulder_lift": b(2.5, 3.1), "elbow": b(0.15, 0.9),
          "shoulder_twist": b(-0.6, 0.0),
          "spine_bend": -b(0.0, 0.3), "neck_bend": -b(0.0, 0.4)}  # fmt: skip
    first = up | {"shoulder_lift": b(0.3, 2.0), "elbow": b(0.5, 1.5)} if stage.chance(0.5) else {}
    track = key_poses(stage, clock(stage), resting(stage), [
        (0.0, first), (b(0.35, 0.5), up),
        (b(0.6, 0.75), {"spine_side": side, "neck_side": 0.4 * side, "foot_pitch": b(0.0, 0.3)}),
        (1.0, {"spine_side": -0.3 * side, "foot_pitch": 0.0, "shoulder_lift": b(1.5, 2.8), "elbow": b(0.1, 0.6)}),
    ])  # fmt: skip
    return Plan(track)


def side_bend(stage: Stage) -> Plan:
    """Legs wide, arms overhead, the trunk from side to side like the start of a cartwheel."""
    b = stage.between
    far, high = b(0.4, 0.75), b(2.0, 2.8)
    base = resting(stage) | {"foot_out": b(0.2, 0.45), "shoulder_plane": 1.5, "shoulder_lift": high, "elbow": 0.2,
                             "shoulder_twist": -0.5, "spine_bend": 0.0}  # fmt: skip
    track = key_poses(stage, clock(stage), base, [(0.0, {})])
    phase = beats(stage, 0.4, 0.9)
    sway = np.sin(2 * np.pi * phase)
    track[:, CHANNEL["spine_side"]] += far * sway
    track[:, CHANNEL["roll"]] += 0.4 * far * sway
    track[:, CHANNEL["x"]] -= 0.12 * far * sway
    track[:, CHANNEL["neck_side"]] += 0.2 * sway
    track[:, CHANNEL["left_shoulder_lift"]] -= 0.7 * np.maximum(sway, 0)
    track[:, CHANNEL["right_shoulder_lift"]] -= 0.7 * np.maximum(-sway, 0)
    return Plan(track)
