"""Dance, jumping jacks, boxing, and standing about."""

from __future__ import annotations

import numpy as np

from dimofs.datasets.synthetic.plan import Plan, both_hands
from dimofs.datasets.synthetic.props import carried
from dimofs.datasets.synthetic.tracks import (
    CHANNEL,
    Pose,
    Stage,
    beats,
    clock,
    key_poses,
    posture,
    resting,
    wrists,
)


def dance(stage: Stage) -> Plan:
    """A new pose on every beat: arms, hips and feet, with a bounce in the knees."""
    b, rng = stage.between, stage.rng
    poses = int(np.ceil(stage.frames / 30 * b(1.2, 2.6))) + 2
    base = resting(stage) | {"foot_out": b(0.05, 0.2), "y": -0.05}
    keys: list[tuple[float, Pose]] = []
    for index in range(poses):
        pose = {
            "x": b(-0.09, 0.09), "roll": b(-0.14, 0.14), "heading": b(-0.4, 0.4), "spine_twist": b(-0.45, 0.45),
            "spine_side": b(-0.25, 0.25), "spine_bend": b(-0.05, 0.3), "neck_side": b(-0.25, 0.25),
                "neck_turn": b(-0.5, 0.5),
            "y": b(-0.14, -0.03),
        }  # fmt: skip
        for side in ("left", "right"):
            lift = b(0.1, 2.6) if rng.random() < 0.7 else b(-0.4, 0.4)
            pose |= {
                f"{side}_shoulder_plane": b(0.0, 1.5), f"{side}_shoulder_lift": lift, f"{side}_elbow": b(0.2, 2.0),
                f"{side}_shoulder_twist": b(-1.0, 0.6), f"{side}_wrist": b(-0.5, 0.5),
            }  # fmt: skip
        foot = "left" if index % 2 else "right"
        pose |= {
            f"{foot}_foot_out": b(0.0, 0.35),
            f"{foot}_foot_ahead": b(-0.2, 0.25),
            f"{foot}_foot_pitch": b(0.0, 0.5),
        }
        keys.append((index / (poses - 1), pose))
    track = key_poses(stage, clock(stage, unevenness=0.15), base, keys)
    phase = np.linspace(0, poses - 1, stage.frames) + rng.uniform()
    track[:, CHANNEL["y"]] -= b(0.01, 0.04) * (1 + np.cos(2 * np.pi * phase))
    for side in ("left", "right"):  # a foot that steps aside leaves the ground
        speed = np.abs(np.gradient(track[:, CHANNEL[f"{side}_foot_out"]])) + np.abs(
            np.gradient(track[:, CHANNEL[f"{side}_foot_ahead"]])
        )
        track[:, CHANNEL[f"{side}_foot_rise"]] += np.minimum(2.5 * speed, 0.12)
    return Plan(track)


def jumping_jack(stage: Stage) -> Plan:
    """Arms and legs out and in with a hop each way."""
    b = stage.between
    phase = beats(stage, 0.8, 1.4, unsteady=0.06)
    track = key_poses(stage, clock(stage), resting(stage) | {"shoulder_plane": b(1.3, 1.6), "elbow": 0.25}, [(0.0, {})])
    open_ = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
    hop = b(0.03, 0.09) * np.sin(2 * np.pi * phase) ** 2
    apart, up = b(0.2, 0.4), b(2.0, 2.7)
    for side in ("left", "right"):
        track[:, CHANNEL[f"{side}_shoulder_lift"]] += up * open_
        track[:, CHANNEL[f"{side}_shoulder_twist"]] -= 0.6 * open_
        track[:, CHANNEL[f"{side}_foot_out"]] += apart * open_
        track[:, CHANNEL[f"{side}_foot_rise"]] += hop
        track[:, CHANNEL[f"{side}_foot_pitch"]] += 6 * hop
    track[:, CHANNEL["y"]] += hop - 0.06 * (1 - np.abs(np.sin(2 * np.pi * phase)))
    return Plan(track)


def boxing(stage: Stage) -> Plan:
    """Guard and punches from a bouncing, staggered stance."""
    b = stage.between
    guard = wrists((0.14, b(-0.05, 0.15), b(0.5, 0.65)), (-0.14, b(-0.05, 0.2), b(0.3, 0.42)))
    base = resting(stage) | guard | {
        "left_foot_ahead": b(0.12, 0.28), "right_foot_ahead": -b(0.12, 0.3), "right_foot_turn": 0.7,
                                     "foot_out": b(0.05, 0.15),
        "y": -b(0.06, 0.14), "pitch": 0.08, "spine_bend": 0.25, "spine_twist": -0.25, "heading": -0.2, "neck_turn": 0.3,
        "shoulder_plane": 0.3, "shoulder_lift": 0.6, "elbow": 1.9, "right_foot_pitch": 0.25,
    }  # fmt: skip
    keys: list[tuple[float, Pose]] = [(0.0, {})]
    at, hit = b(0.02, 0.2), 13.0 / max(stage.frames, 16)
    while at + hit < 0.97:
        high = b(-0.1, 0.3)
        if stage.chance(0.5):
            blow = {
                "left_hand_x": b(-0.1, 0.15),
                "left_hand_y": high,
                "left_hand_z": 0.98,
                "spine_twist": -0.45,
                "z": 0.07,
            }
        else:
            blow = {"right_hand_x": b(-0.05, 0.25), "right_hand_y": high, "right_hand_z": 0.95, "spine_twist": 0.5,
                    "heading": 0.1, "z": 0.1, "right_foot_pitch": 0.6}  # fmt: skip
        rest = guard | {"spine_twist": -0.25, "heading": -0.2, "z": 0.0, "right_foot_pitch": 0.25}
        keys += [(at + 0.01, rest), (at + 0.45 * hit, blow), (at + hit, rest)]
        at += hit * b(1.05, 2.2)
    track = key_poses(stage, clock(stage, unevenness=0.1), base, [*keys, (1.0, {})])
    bounce = np.abs(np.sin(np.pi * beats(stage, 1.5, 2.6)))
    track[:, CHANNEL["y"]] += 0.025 * bounce
    return Plan(track, reach=both_hands(stage))


def idle(stage: Stage) -> Plan:
    """Stand or sit nearly still, shift the weight, look about."""
    b = stage.between
    keys: list[tuple[float, Pose]] = [(0.0, {})]
    for at in (b(0.3, 0.5), 1.0):
        keys.append((at, {"x": b(-0.08, 0.08), "roll": b(-0.06, 0.06), "neck_turn": b(-0.8, 0.8), "neck_bend": b(-0.1,
                                                                                                                 0.3),
                          "spine_twist": b(-0.15, 0.15)}))  # fmt: skip
    track = key_poses(stage, clock(stage), posture(stage), keys)
    return Plan(track, props=lambda positions: carried(stage, positions, 0.15))
