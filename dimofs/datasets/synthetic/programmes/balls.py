"""Throw, catch, shoot and kick a ball."""

from __future__ import annotations

import numpy as np

from dimofs.datasets.synthetic.plan import Plan, Prop, both_hands
from dimofs.datasets.synthetic.props import ball, hand, hands, seen, thrown
from dimofs.datasets.synthetic.skeleton import JOINT, Array32
from dimofs.datasets.synthetic.tracks import (
    CHANNEL,
    FPS,
    Pose,
    Stage,
    clock,
    frame_at,
    key_poses,
    resting,
)

#: How a ball leaves (or, backwards, reaches) the hands: keys gathered and extended, direction, whether with both hands.
_TOSSES: dict[str, tuple[Pose, Pose, Pose, tuple[float, float, float], bool]] = {
    "chest": (
        {"left_hand_x": 0.14, "right_hand_x": -0.14, "hand_y": -0.15, "hand_z": 0.32},
        {"left_hand_x": 0.16, "right_hand_x": -0.16, "hand_y": 0.02, "hand_z": 0.93},
        {"left_hand_x": 0.3, "right_hand_x": -0.3, "hand_y": -0.25, "hand_z": 0.75},
        (0.0, 0.15, 1.0), True,
    ),
    "overhead": (
        {"left_hand_x": 0.15, "right_hand_x": -0.15, "hand_y": 0.62, "hand_z": -0.05, "spine_bend": -0.25,
         "shoulder_plane": 0.5, "shoulder_lift": 2.4, "elbow": 1.5},
        {"left_hand_x": 0.17, "right_hand_x": -0.17, "hand_y": 0.6, "hand_z": 0.68, "spine_bend": 0.2},
        {"left_hand_x": 0.25, "right_hand_x": -0.25, "hand_y": -0.2, "hand_z": 0.8, "spine_bend": 0.4,
         "shoulder_lift": 1.0, "elbow": 0.8},
        (0.0, 0.2, 1.0), True,
    ),
    "scoop": (
        {"left_hand_x": 0.14, "right_hand_x": -0.14, "hand_y": -0.8, "hand_z": 0.15, "y": -0.2, "spine_bend": 0.5},
        {"left_hand_x": 0.15, "right_hand_x": -0.15, "hand_y": -0.3, "hand_z": 0.85, "y": -0.05, "spine_bend": 0.2},
        {"left_hand_x": 0.2, "right_hand_x": -0.2, "hand_y": 0.2, "hand_z": 0.8, "spine_bend": 0.05},
        (0.0, 0.6, 1.0), True,
    ),
    "overarm": (
        {"right_shoulder_plane": 1.6, "right_shoulder_lift": 1.6, "right_shoulder_twist": -1.5, "right_elbow": 1.6,
         "spine_twist": -0.55, "left_shoulder_plane": 0.6, "left_shoulder_lift": 1.2, "left_elbow": 0.5},
        {"right_shoulder_plane": 0.6, "right_shoulder_lift": 1.95, "right_shoulder_twist": -0.5, "right_elbow": 0.35,
         "spine_twist": 0.35, "spine_bend": 0.25, "left_shoulder_lift": 0.5, "left_elbow": 1.2},
        {"right_shoulder_plane": -0.5, "right_shoulder_lift": 0.9, "right_shoulder_twist": 0.3, "right_elbow": 0.4,
         "spine_twist": 0.6, "spine_bend": 0.5},
        (0.0, 0.12, 1.0), False,
    ),
    "underarm": (
        {"right_shoulder_plane": 0.2, "right_shoulder_lift": -0.9, "right_elbow": 0.15, "spine_twist": -0.3,
         "spine_bend": 0.45, "y": -0.12},
        {"right_shoulder_lift": 1.1, "right_elbow": 0.15, "spine_twist": 0.2, "spine_bend": 0.25, "y": -0.06},
        {"right_shoulder_lift": 2.0, "right_elbow": 0.4, "spine_bend": 0.05},
        (0.0, 0.5, 1.0), False,
    ),
    "sidearm": (
        {"right_shoulder_plane": -0.7, "right_shoulder_lift": 1.1, "right_elbow": 1.5, "spine_twist": 0.5,
         "right_shoulder_twist": 0.3},
        {"right_shoulder_plane": 0.9, "right_shoulder_lift": 1.3, "right_elbow": 0.2, "spine_twist": -0.25},
        {"right_shoulder_plane": 1.7, "right_shoulder_lift": 1.2, "right_elbow": 0.3, "spine_twist": -0.5},
        (-0.5, 0.1, 0.9), False,
    ),
}  # fmt: skip


def _toss(stage: Stage, weights: dict[str, float]) -> Plan:
    """A ball leaves the hands: gather, extend and let go, follow through, with or without a step."""
    b = stage.between
    style = str(stage.rng.choice(list(weights), p=list(weights.values())))
    gathered, extended, after, direction, two = _TOSSES[style]
    release = b(0.48, 0.7)
    time = clock(stage, 1.0, release, hesitation=0.25)
    base = resting(stage) | {"neck_turn": b(-0.2, 0.2), "neck_bend": b(-0.15, 0.1), "y": -b(0.02, 0.1)}
    base |= {"foot_out": b(0.05, 0.2), "left_foot_ahead": b(-0.05, 0.2), "right_foot_ahead": -b(-0.05, 0.25)}
    if two:
        base |= {"shoulder_plane": 0.3, "shoulder_lift": 0.7, "elbow": 1.3, "hand_y": b(-0.5, -0.1), "hand_z": b(0.35,
                                                                                                                 0.5),
                 "left_hand_x": 0.15, "right_hand_x": -0.15}  # fmt: skip
    else:
        base |= {"right_shoulder_plane": 0.5, "right_shoulder_lift": b(0.2, 0.6), "right_elbow": b(0.6, 1.6)}
    step, back = b(0.1, 0.45) * stage.chance(0.6), base["left_foot_ahead"]
    track = key_poses(stage, time, base, [
        (0.0, gathered if stage.chance(0.3) else {}),
        (release - b(0.2, 0.3), gathered | {"z": -0.06, "left_foot_ahead": back + 0.4 * step,
                                            "left_foot_rise": 0.3 * step}),
        (release, extended | {"z": 0.08 + 0.35 * step, "left_foot_ahead": back + step, "left_foot_rise": 0.0,
                              "right_foot_pitch": 0.2 + 0.6 * step}),
        (release + b(0.15, 0.25), after | {"z": 0.1 + 0.45 * step, "right_foot_pitch": 0.3 + 0.8 * step}),
        (1.0, {"hand_y": b(-0.5, 0.0), "right_shoulder_lift": b(0.3, 1.0)} if stage.chance(0.6) else {}),
    ])  # fmt: skip
    visible, frame = seen(stage, 0.8), frame_at(time, release)
    radius = b(0.035, 0.12) if not two else b(0.07, 0.14)
    aim = np.array(direction) + stage.rng.normal(0, 0.12, 3)
    velocity = b(4.0, 11.0) * aim / np.linalg.norm(aim)

    def props(positions: Array32) -> tuple[Prop, ...]:
        held = hands(positions) if two else hand(positions, "right")
        return (ball(thrown(held, frame, velocity, radius), radius, visible),)

    return Plan(track, reach=both_hands(stage) if two else None, props=props)


def throw(stage: Stage) -> Plan:
    """More often overarm than with both hands."""
    return _toss(
        stage, {"chest": 0.15, "overhead": 0.15, "scoop": 0.1, "overarm": 0.3, "underarm": 0.15, "sidearm": 0.15}
    )


def catch(stage: Stage) -> Plan:
    """The ball leaves the hands here, too: the take is played backwards. More often with both hands than not."""
    return _toss(
        stage, {"chest": 0.3, "overhead": 0.2, "scoop": 0.15, "overarm": 0.15, "underarm": 0.1, "sidearm": 0.1}
    )


def shoot_ball(stage: Stage) -> Plan:
    """A shot at a basket: dip, ball past the face, arms up and let go on tiptoe or in the air."""
    b = stage.between
    release, dip = b(0.55, 0.7), b(0.08, 0.28)
    time = clock(stage, 1.1, release, hesitation=0.25)
    base = resting(stage) | {"shoulder_plane": 0.3, "shoulder_lift": 0.8, "elbow": 1.4, "left_hand_x": 0.12,
                             "right_hand_x": -0.12, "hand_y": b(-0.5, -0.1), "hand_z": b(0.35, 0.5),
                             "neck_bend": -0.1}  # fmt: skip
    hop = b(0.05, 0.3) * stage.chance(0.55)
    track = key_poses(stage, time, base, [
        (0.0, {"y": -b(0.02, 0.12)}),
        (release - b(0.25, 0.35), {"y": -dip, "pitch": 0.8 * dip, "spine_bend": 0.15, "hand_y": 0.05,
                                   "neck_bend": -0.2}),
        (release - 0.1, {"y": -0.02, "pitch": 0.05, "hand_y": 0.58, "hand_z": 0.38, "neck_bend": -0.35,
                         "spine_bend": 0.0,
                         "foot_pitch": 0.35, "shoulder_lift": 2.0, "elbow": 1.6}),
        (release, {"y": 0.05, "right_hand_y": 0.98, "right_hand_z": 0.42, "left_hand_y": 0.8, "left_hand_x": 0.22,
                   "left_hand_z": 0.35, "foot_pitch": 0.6, "right_wrist": 0.3}),
        (min(release + 0.2, 0.95), {"right_wrist": 1.1, "left_hand_x": 0.3, "left_hand_y": 0.6, "foot_pitch": 0.3,
                                    "y": -0.02}),
        (1.0, {"hand_y": b(0.2, 0.7), "foot_pitch": 0.0, "y": -0.06}),
    ])  # fmt: skip
    air = np.clip((time - release + 0.12) / 0.36, 0.0, 1.0)
    arc = 4 * air * (1 - air) * hop / stage.build.leg
    for name in ("y", "left_foot_rise", "right_foot_rise"):
        track[:, CHANNEL[name]] += arc
    visible, frame, radius = seen(stage, 0.85), frame_at(time, release), b(0.08, 0.14)
    velocity = np.array([b(-0.5, 0.5), b(3.0, 6.0), b(2.5, 6.0)])
    # The ball rests on the shooting hand, above its palm.
    above = np.array([0.0, 0.7 * radius, 0.25 * radius])
    return Plan(track, reach=both_hands(stage), props=lambda positions: (
        ball(thrown(hands(positions) * 0.4 + hand(positions, "right") * 0.6 + above, frame, velocity, radius), radius,
             visible),
    ))  # fmt: skip


def kick_ball(stage: Stage, height: float = 0.4, with_ball: bool = True) -> Plan:
    """Leg back, through the ball and up, with or without a step up to it."""
    b = stage.between
    contact, run_up = b(0.48, 0.62), b(0.25, 0.6) * stage.chance(0.55)
    back, up = b(0.35, 0.6), min(height * b(0.5, 1.5), 0.9)
    ahead = float(np.sqrt(0.96 - (1 - up) ** 2))  # a nearly straight leg
    time = clock(stage, 1.1, contact, hesitation=0.2)
    base = resting(stage) | {"left_foot_ahead": -run_up, "right_foot_ahead": -run_up - b(0.0, 0.2), "z": -run_up - 0.05}
    arms = {"left_shoulder_plane": b(0.8, 1.3), "left_shoulder_lift": b(0.6, 1.3), "right_shoulder_plane": b(0.9, 1.5),
            "right_shoulder_lift": b(0.3, 0.9), "elbow": b(0.3, 0.8)}  # fmt: skip
    track = key_poses(stage, time, base, [
        (0.0, {}),
        (0.5 * contact, {"left_foot_ahead": -0.4 * run_up, "left_foot_rise": 0.25 * run_up, "z": -0.6 * run_up,
                         "right_foot_pitch": 0.6, "y": -0.06, "neck_bend": 0.25, "spine_bend": 0.15} | arms),
        (contact - 0.14, {"left_foot_ahead": 0.0, "left_foot_rise": 0.0, "right_foot_ahead": -back,
                          "right_foot_rise": 0.3,
                          "right_foot_pitch": 1.0, "z": -0.1, "y": -0.08, "heading": -0.3, "pitch": -0.05,
                          "spine_twist": 0.1}),
        (contact, {"right_foot_ahead": 0.28, "right_foot_rise": 0.05, "right_foot_pitch": 0.5, "z": 0.0, "heading": 0.1,
                   "pitch": -0.1, "spine_twist": -0.2, "right_foot_out": 0.0}),
        (contact + b(0.16, 0.24), {"right_foot_ahead": ahead, "right_foot_rise": up, "right_foot_pitch": 0.4, "z": 0.04,
                                   "y": -0.03, "pitch": -0.25, "heading": 0.35, "left_shoulder_plane": 0.3,
                                   "left_foot_pitch": 0.25 * height, "right_shoulder_lift": -0.3}),
        (1.0, {"right_foot_ahead": b(0.25, 0.6), "right_foot_rise": b(0.0, 0.15), "right_foot_pitch": 0.1, "z": 0.15,
               "pitch": 0.0, "left_foot_pitch": 0.0}),
    ])  # fmt: skip
    visible, frame, radius = seen(stage, 0.85 if with_ball else 0.0), frame_at(time, contact), b(0.09, 0.13)
    velocity = np.array([b(-1.5, 1.5), b(0.0, 4.0), b(4.0, 12.0)])
    rolling = np.array([b(-0.6, 0.6), 0.0, b(-1.5, 0.5)]) * stage.chance(0.4)

    def props(positions: Array32) -> tuple[Prop, ...]:
        spot = positions[frame, JOINT["right_toe"]] + [0.02, 0.0, radius]
        spot[1] = max(spot[1], radius)
        before = (np.arange(stage.frames) - frame)[:, None] / FPS
        return (ball(thrown(spot + rolling * np.minimum(before, 0.0), frame, velocity, radius), radius, visible),)

    return Plan(track, props=props)


def kick(stage: Stage) -> Plan:
    """A high kick at nothing."""
    return kick_ball(stage, height=stage.between(0.5, 1.0), with_ball=False)
