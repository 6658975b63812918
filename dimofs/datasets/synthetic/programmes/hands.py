"""Wave, clap, brush hair, pour, push and talk."""

from __future__ import annotations

import numpy as np

from dimofs.datasets.synthetic.gait import Gait, go
from dimofs.datasets.synthetic.plan import Plan, Prop, both_hands, chest_axes
from dimofs.datasets.synthetic.props import carried, forearm, hand, hands, seen, stick, tool
from dimofs.datasets.synthetic.skeleton import JOINT, Array32, Array64, unit
from dimofs.datasets.synthetic.tracks import (
    CHANNEL,
    Pose,
    Stage,
    beats,
    clock,
    drift,
    ease,
    key_poses,
    posture,
    resting,
)


def wave(stage: Stage) -> Plan:
    """Forearm or whole arm to and fro, beside the head, overhead or low in front; sometimes both arms."""
    b = stage.between
    both, whole = stage.chance(0.15), stage.chance(0.3)
    raised: Pose = (
        {"right_shoulder_plane": b(0.9, 1.6), "right_shoulder_lift": b(2.2, 2.8), "right_elbow": b(0.1, 0.5)}
        if whole
        else {"right_shoulder_plane": b(0.7, 1.5), "right_shoulder_lift": b(0.7, 1.9), "right_elbow": b(1.2, 2.0),
              "right_shoulder_twist": -b(1.0, 1.5)}
    )  # fmt: skip
    raised |= {"right_wrist": b(-0.3, 0.2), "neck_turn": b(-0.5, 0.5), "neck_bend": b(-0.2, 0.1)}
    if both:
        raised |= {name.replace("right", "left"): value for name, value in raised.items()}
    time = clock(stage)
    base = posture(stage)
    keys: list[tuple[float, Pose]] = [(0.0, raised), (1.0, raised)]
    if stage.chance(0.45):
        keys = [(0.0, {}), (b(0.2, 0.45), raised), (1.0, {})]
    elif stage.chance(0.2):
        keys = [(0.0, raised), (b(0.6, 0.8), {}), (1.0, base)]
    track = key_poses(stage, time, base, keys)
    phase = beats(stage, 1.2, 3.0)
    width = b(0.25, 0.5) * np.exp(0.15 * drift(stage, 1)[:, 0])
    for side, sign in (("right", 1.0), ("left", stage.rng.choice([-1.0, 1.0]))):
        if side == "right" or both:
            up = np.clip((track[:, CHANNEL[f"{side}_shoulder_lift"]] - 0.4) / 0.6, 0, 1)
            to_and_fro = up * width * np.sin(2 * np.pi * phase)
            track[:, CHANNEL[f"{side}_shoulder_lift"]] += (0.8 if whole else 0.25) * sign * to_and_fro
            track[:, CHANNEL[f"{side}_shoulder_twist"]] += (0.2 if whole else 1.0) * sign * to_and_fro
            track[:, CHANNEL[f"{side}_elbow"]] += 0.5 * sign * up * width * np.sin(2 * np.pi * (phase - 0.08))
    track[:, CHANNEL["spine_side"]] += 0.05 * width * np.sin(2 * np.pi * phase)
    holding = seen(stage, 0.25)
    length, radius = b(0.12, 0.5), b(0.012, 0.03)

    def props(positions: Array32) -> tuple[Prop, ...]:
        grip = hand(positions, "right")
        return (stick(grip, grip + length * forearm(positions, "right"), radius, holding),)

    return Plan(track, props=props)


def clap(stage: Stage) -> Plan:
    """Hands together again and again, in front of the chest, the face or overhead."""
    b = stage.between
    high = stage.rng.choice([b(-0.35, 0.0), b(0.0, 0.3), b(0.75, 0.9)], p=[0.6, 0.25, 0.15])
    ahead = b(0.5, 0.7) if high < 0.5 else b(0.15, 0.35)
    rate = b(1.8, 4.2)
    apart = b(0.25, 0.55) * min(1.0, 2.2 / rate)
    time = clock(stage)
    base = posture(stage) | {"left_hand_x": 0.1, "right_hand_x": -0.1, "hand_y": high, "hand_z": ahead, "wrist": 0.0}
    base |= {
        "shoulder_plane": 0.2,
        "shoulder_lift": 0.8 + 1.6 * max(high, 0.0),
        "elbow": 1.2,
        "neck_bend": b(-0.1, 0.3),
    }
    track = key_poses(stage, time, base, [(0.0, {}), (1.0, {"hand_y": high + b(-0.1, 0.1)})])
    phase = beats(stage, rate, rate)
    # Hands meet hard and part softly: the closed part of a cycle is short.
    gap = apart * np.abs(np.sin(np.pi * phase)) * np.exp(0.2 * drift(stage, 1)[:, 0])
    share = b(0.3, 0.7)
    track[:, CHANNEL["left_hand_x"]] += 2 * share * gap - 0.02
    track[:, CHANNEL["right_hand_x"]] -= 2 * (1 - share) * gap - 0.02
    track[:, CHANNEL["left_hand_y"]] += 0.25 * gap * b(-1, 1)
    track[:, CHANNEL["right_hand_y"]] -= 0.25 * gap * b(-1, 1)
    track[:, CHANNEL["y"]] -= 0.008 * np.cos(2 * np.pi * phase) + 0.008
    return Plan(track, reach=both_hands(stage))


def brush_hair(stage: Stage) -> Plan:
    """Strokes from the top or the side of the head downwards, the hand coming back in an arc further out."""
    b = stage.between
    low, behind = b(-0.1, 0.3), b(-0.15, 0.15)
    top = np.array([-b(0.1, 0.3), b(0.6, 0.75), 0.1 + behind])
    end = np.array([-b(0.35, 0.45), low, 0.4 - 0.5 * low + 0.6 * behind])
    time = clock(stage)
    tilt = b(-0.05, 0.4)
    base = posture(stage) | {
        "neck_side": -tilt,
        "neck_turn": b(-0.5, 0.3),
        "neck_bend": b(-0.05, 0.3),
        "spine_side": -0.3 * tilt,
    }
    base |= {
        "right_shoulder_plane": b(0.8, 1.3),
        "right_shoulder_lift": 1.4,
        "right_elbow": 2.0,
        "right_wrist": b(0.3, 0.8),
    }
    other = stage.chance(0.35)
    if other:  # the other hand holds the hair
        base |= {"left_hand_x": -b(-0.25, 0.1), "left_hand_y": b(0.1, 0.4), "left_hand_z": b(0.2, 0.3),
                 "left_shoulder_plane": 0.3, "left_shoulder_lift": 1.0, "left_elbow": 1.8}  # fmt: skip
    track = key_poses(
        stage, time, base, [(0.0, {}), (1.0, {"neck_side": -tilt + b(-0.1, 0.1), "neck_turn": b(-0.3, 0.3)})]
    )
    phase = beats(stage, 0.8, 1.7)
    part = phase % 1.0
    stroke = np.where(part < 0.6, ease(part / 0.6), 1 - ease((part - 0.6) / 0.4))
    away = np.where(part < 0.6, 0.0, np.sin(np.pi * (part - 0.6) / 0.4))
    depth = np.exp(0.2 * drift(stage, 1)[:, 0])
    path = top + (end - top) * (stroke * np.clip(depth, 0, 1.1))[:, None] + np.array([-0.16, 0.06, 0.1]) * away[:, None]
    track[:, CHANNEL["right_hand_x"] : CHANNEL["right_hand_z"] + 1] = path
    track[:, CHANNEL["neck_side"]] += 0.06 * np.sin(2 * np.pi * phase)
    visible = seen(stage, 0.6)
    length, radius = b(0.12, 0.24), b(0.012, 0.03)

    def props(positions: Array32) -> tuple[Prop, ...]:
        grip = hand(positions, "right")
        head = positions[:, JOINT["head_bottom"]] * 0.4 + positions[:, JOINT["head_top"]] * 0.6
        along = np.cross(positions[:, JOINT["right_wrist"]] - positions[:, JOINT["right_elbow"]], head - grip)
        along = unit(np.cross(along, head - grip) * 0.5 + (head - grip) * 0.15)
        return (stick(grip - 0.3 * length * along, grip + 0.7 * length * along, radius, visible),)

    return Plan(track, reach=both_hands(stage, float(other), 1.0), props=props)


def pour(stage: Stage) -> Plan:
    """A bottle lifted over a cup, tilted and brought back; the other hand holds the cup or leans on the table."""
    b = stage.between
    cup = np.array([b(-0.05, 0.25), b(-0.55, -0.2), b(0.5, 0.7)])
    above = cup + np.array([-0.3, b(0.2, 0.38), 0.0])
    side = cup + np.array([-b(0.4, 0.6), b(-0.05, 0.1), b(-0.1, 0.05)])
    base = posture(stage) | {"neck_bend": b(0.25, 0.6), "neck_turn": b(-0.15, 0.2), "spine_bend": b(0.05, 0.35)}
    base |= {"left_hand_x": cup[0], "left_hand_y": cup[1], "left_hand_z": cup[2], "shoulder_plane": 0.4,
             "shoulder_lift": 0.6,
             "elbow": 1.2, "left_shoulder_lift": 0.3, "right_shoulder_lift": b(0.6, 1.2),
             "right_shoulder_plane": b(0.5, 1.1)}  # fmt: skip

    def at(place: Array64, tilt: float) -> Pose:
        return {"right_hand_x": place[0], "right_hand_y": place[1], "right_hand_z": place[2],
                "tool_x": float(np.sin(tilt)), "tool_y": float(np.cos(tilt)), "tool_z": 0.1}  # fmt: skip

    tilt = b(1.2, 2.0)
    full = at(above + np.array([0.0, 0.06, 0.0]), tilt) | {
        "right_shoulder_lift": 1.0,
        "spine_side": b(0.0, 0.12),
        "right_wrist": 0.5,
    }
    time = clock(stage, 1.1)
    keys = [(0.0, at(side, 0.1)), (0.3, at(above, 0.6)), (0.5, full), (b(0.65, 0.85), {"right_hand_y": above[1] + 0.1}),
            (1.0, at(above, b(0.2, 0.8)))]  # fmt: skip
    if stage.chance(0.35):
        keys = [(0.0, at(above, b(0.6, 1.0))), (b(0.3, 0.5), full), (1.0, {"right_hand_y": above[1] + b(0.05, 0.25)})]
    track = key_poses(stage, time, base, keys)
    holds_cup = stage.chance(0.65)
    bottle, beaker = seen(stage, 0.75), seen(stage, 0.7 if holds_cup else 0.4)
    length, thick = b(0.18, 0.32), b(0.025, 0.045)
    half, wide = np.array([0.0, b(0.04, 0.07), 0.0]), b(0.03, 0.045)

    def props(positions: Array32) -> tuple[Prop, ...]:
        grip, along = hand(positions, "right"), tool(positions, track)
        under = hand(positions, "left")
        if not holds_cup:
            under = np.repeat((grip + along * length)[stage.frames // 2][None] - [0.0, 0.2, 0.0], stage.frames, axis=0)
        return (
            stick(grip - 0.4 * length * along, grip + 0.6 * length * along, thick, bottle),
            stick(under - half, under + half, wide, beaker),
        )

    return Plan(track, reach=both_hands(stage, float(holds_cup), 1.0), props=props)


def push(stage: Stage) -> Plan:
    """Shove something with both hands from a standstill, or go on pushing it; it shows as a bar, if at all."""
    b = stage.between
    height, apart = b(-0.55, -0.05), b(0.15, 0.4)
    arms = {"left_hand_x": apart, "right_hand_x": -apart, "hand_y": height, "shoulder_plane": 0.3, "shoulder_lift": 0.9,
            "elbow": 1.0, "wrist": -b(0.3, 0.9)}  # fmt: skip
    lean = b(0.1, 0.5)
    if stage.chance(0.45):
        gait = Gait(
            cadence=b(0.6, 1.0), stride=b(0.8, 1.3), stance=b(0.6, 0.68), lift=b(0.08, 0.13), bounce=b(0.005, 0.012),
            height=b(0.05, 0.14), push=b(0.5, 0.9), strike=b(0.0, 0.2), width=b(-0.04, 0.02),
        )  # fmt: skip
        base = (
            resting(stage) | arms | {"pitch": lean, "spine_bend": 0.2, "neck_bend": -0.5 * lean, "hand_z": b(0.6, 0.9)}
        )
        plan = go(stage, gait, base, 0.0, stage.rng.normal(0, 0.08))
        track, feet = plan.track, plan.feet
        for side in ("left", "right"):
            track[:, CHANNEL[f"{side}_hand_z"]] += 0.03 * drift(stage, 1)[:, 0]
    else:
        feet, step, peak = None, b(0.15, 0.5), b(0.5, 0.75)
        base = (
            resting(stage)
            | arms
            | {"hand_z": b(0.3, 0.45), "left_foot_ahead": b(0.0, 0.15), "right_foot_ahead": -b(0.05, 0.3)}
        )
        ahead = base["left_foot_ahead"]
        track = key_poses(stage, clock(stage, 0.9, peak - 0.1), base, [
            (0.0, {"hand_z": b(0.35, 0.8)}),
            (peak - b(0.25, 0.35), {"hand_z": 0.32, "z": -0.05, "y": -0.1, "pitch": 0.5 * lean,
                                    "left_foot_ahead": ahead + 0.4 * step,
                                    "left_foot_rise": 0.12 * step}),
            (peak, {"hand_z": 0.95, "z": 0.12 + 0.5 * step, "y": -0.12, "pitch": lean, "spine_bend": 0.25, "elbow": 0.2,
                    "left_foot_ahead": ahead + step, "left_foot_rise": 0.0, "right_foot_pitch": 0.3 + 0.9 * step,
                    "neck_bend": -0.4 * lean}),
            (1.0, {"hand_z": b(0.6, 0.92), "pitch": 0.7 * lean}),
        ])  # fmt: skip
    visible, radius, spare = seen(stage, 0.5), b(0.014, 0.04), b(0.05, 0.35)

    def props(positions: Array32) -> tuple[Prop, ...]:
        middle, left = hands(positions), chest_axes(positions)[..., 0]
        ends = (apart * stage.build.arm + spare) * left
        return (stick(middle - ends, middle + ends, radius, visible),)

    return Plan(track, feet, reach=both_hands(stage), props=props)


def talk(stage: Stage) -> Plan:
    """Stand or sit and speak: hands beat and point, the head nods and turns."""
    b = stage.between
    base = posture(stage) | {"shoulder_plane": b(0.3, 0.9), "shoulder_lift": b(0.2, 0.5), "elbow": b(0.8, 1.7)}
    keys: list[tuple[float, Pose]] = []
    gestures = int(np.ceil(stage.frames / 30 * b(1.5, 3.0))) + 2
    for index in range(gestures):
        pose = {
            "neck_turn": b(-0.5, 0.5),
            "neck_bend": b(-0.1, 0.3),
            "spine_twist": b(-0.15, 0.15),
            "x": b(-0.04, 0.04),
        }
        for side in ("left", "right"):
            if stage.chance(0.65):
                pose |= {f"{side}_shoulder_lift": b(0.1, 0.9), f"{side}_elbow": b(0.6, 2.0), f"{side}_wrist": b(-0.6,
                                                                                                                0.6),
                         f"{side}_shoulder_twist": b(-0.7, 0.8), f"{side}_shoulder_plane": b(0.1, 1.1)}  # fmt: skip
        keys.append((index / (gestures - 1), pose))
    track = key_poses(stage, clock(stage), base, keys)
    return Plan(track, props=lambda positions: carried(stage, positions, 0.15))
