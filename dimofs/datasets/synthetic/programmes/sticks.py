"""Swing a bat, a club or a racket, hang from a bar, shoot a bow or a gun."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dimofs.datasets.synthetic.plan import Plan, Prop, both_hands
from dimofs.datasets.synthetic.props import forearm, hand, hands, seen, stick, tool
from dimofs.datasets.synthetic.skeleton import Array32, Array64, unit
from dimofs.datasets.synthetic.tracks import (
    CHANNEL,
    FPS,
    Pose,
    Stage,
    clock,
    drift,
    ease,
    frame_at,
    key_poses,
    resting,
)


def _two_handed(track: Array64, gap: float) -> Array64:
    """The track with the right hand on the stick that the left hand holds, `gap` arm lengths further along."""
    left, right = CHANNEL["left_hand_x"], CHANNEL["right_hand_x"]
    along = unit(track[:, CHANNEL["tool_x"] : CHANNEL["tool_z"] + 1])
    result = track.copy()
    result[:, right : right + 3] = track[:, left : left + 3] + gap * along
    return result


def _grip(hand_at: tuple[float, float, float], tool_to: tuple[float, float, float]) -> Pose:
    """Left hand and stick of a two-handed grip."""
    (x, y, z), (u, v, w) = hand_at, tool_to
    return {"left_hand_x": x, "left_hand_y": y, "left_hand_z": z, "tool_x": u, "tool_y": v, "tool_z": w}


def _club(stage: Stage, track: Array64) -> Callable[[Array32], tuple[Prop, ...]]:
    """The bat or club of a two-handed grip, of lengths that both swings share."""
    length = stage.between(0.42, 0.54) * stage.build.height
    radius, visible = stage.between(0.015, 0.032), seen(stage, 0.8)

    def props(positions: Array32) -> tuple[Prop, ...]:
        grip, along = hand(positions, "left"), tool(positions, track)
        return (stick(grip - 0.06 * along, grip + length * along, radius, visible),)

    return props


def swing_baseball(stage: Stage) -> Plan:
    """Bat behind the shoulder, a step, hips then shoulders round, follow-through over the other shoulder."""
    b = stage.between
    hit, stride, tilt = b(0.45, 0.62), b(0.05, 0.22), b(-0.15, 0.2)
    base = resting(stage) | {"foot_out": b(0.08, 0.18), "y": -b(0.06, 0.14), "pitch": b(0.05, 0.2),
                             "spine_bend": b(0.1, 0.3),
                             "spine_twist": -0.25, "neck_turn": b(0.7, 1.1), "foot_turn": 0.1, "shoulder_plane": 0.3,
                             "shoulder_lift": 1.0, "left_elbow": 0.8, "right_elbow": 1.6}  # fmt: skip
    base |= _grip((-0.3, -0.05, 0.42), (-0.35, 0.9, -0.1))
    out = base["foot_out"]
    track = key_poses(stage, clock(stage, 1.2, hit, hesitation=0.3), base, [
        (0.0, {}),
        (hit - 0.26, _grip((-0.42, 0.05, 0.36), (-0.1, 0.75, -0.6)) | {
            "spine_twist": -0.6, "x": -0.06, "left_foot_out": out + 0.4 * stride, "left_foot_rise": 0.25 * stride}),
        (hit - 0.09, _grip((-0.18, -0.2, 0.6), (-0.95, 0.25, 0.1)) | {
            "spine_twist": -0.2, "heading": 0.35, "x": 0.03, "left_foot_out": out + stride, "left_foot_rise": 0.0,
            "left_foot_turn": 0.5, "right_foot_pitch": 0.3, "right_foot_turn": -0.2}),
        (hit, _grip((0.22, -0.3 + tilt, 0.7), (-0.15, -0.1 + tilt, 1.0)) | {
            "spine_twist": 0.35, "heading": 0.7, "neck_turn": 0.1, "right_foot_pitch": 0.6, "right_foot_turn": -0.6}),
        (hit + 0.1, _grip((0.5, -0.1 + tilt, 0.55), (0.95, 0.15, 0.3)) | {"spine_twist": 0.7, "heading": 0.85}),
        (hit + b(0.2, 0.28), _grip((0.42, 0.2, 0.32), (0.3, 0.3, -0.9)) | {"spine_twist": 0.85, "neck_turn": -0.2}),
        (1.0, _grip((0.38, b(0.0, 0.2), 0.35), (0.1, -0.1, -1.0))),
    ])  # fmt: skip
    track = _two_handed(track, 0.16)
    return Plan(track, reach=both_hands(stage), props=_club(stage, track))


def golf(stage: Stage) -> Plan:
    """Address, club back and up, down through the ball and round the other side; eyes stay on the ball."""
    b = stage.between
    hit, turn = b(0.5, 0.64), b(0.7, 1.0)
    base = resting(stage) | {"foot_out": b(0.08, 0.2), "y": -b(0.05, 0.1), "pitch": b(0.25, 0.4), "spine_bend": b(0.3,
                                                                                                                  0.55),
                             "spine_twist": 0.0, "spine_side": 0.0, "neck_bend": 0.25, "neck_turn": 0.0,
                             "shoulder_plane": 0.1,
                             "shoulder_lift": 0.6, "elbow": 0.1}  # fmt: skip
    address = _grip((0.0, -0.78, 0.42), (0.0, -0.85, 0.5))
    base |= address
    start = b(0.0, 0.14)
    track = key_poses(stage, clock(stage, 1.5, hit, hesitation=0.4), base, [
        (0.0, {}),
        (start + 0.01, {}),
        (start + 0.5 * (hit - start - 0.2), _grip((-0.55, -0.5, 0.5), (-0.9, -0.1, 0.4)) | {
            "spine_twist": -0.55 * turn, "heading": -0.2, "neck_turn": 0.5}),
        (hit - 0.18, _grip((-0.55, 0.05, 0.42), (0.35, 0.35, -0.85)) | {
            "spine_twist": -turn, "heading": -0.35, "neck_turn": 0.95, "left_foot_pitch": 0.25, "x": -0.03}),
        (hit - 0.08, _grip((-0.5, -0.45, 0.55), (-0.8, 0.55, 0.2)) | {
            "spine_twist": -0.45, "heading": 0.0, "neck_turn": 0.4, "left_foot_pitch": 0.0, "x": 0.04}),
        (hit, address | {"spine_twist": 0.05, "heading": 0.25, "neck_turn": -0.2, "right_foot_pitch": 0.2}),
        (hit + 0.09, _grip((0.52, -0.5, 0.52), (0.85, 0.2, 0.45)) | {
            "spine_twist": 0.5, "heading": 0.5, "neck_turn": -0.5, "x": 0.07, "right_foot_pitch": 0.5}),
        (min(hit + b(0.2, 0.28), 0.93), _grip((0.45, 0.25, 0.42), (-0.3, 0.2, -0.9)) | {
            "spine_twist": 0.9, "heading": 0.75, "spine_bend": 0.15, "pitch": 0.1, "right_foot_pitch": 0.85,
                                                                                        "neck_turn": 0.1,
            "right_foot_turn": -0.5}),
        (1.0, {}),
    ])  # fmt: skip
    track = _two_handed(track, 0.12)
    return Plan(track, reach=both_hands(stage), props=_club(stage, track))


def tennis_swing(stage: Stage) -> Plan:
    """A forehand, a backhand or a smash with a racket, or with nothing in the hand."""
    b = stage.between
    hit, step = b(0.48, 0.62), b(0.0, 0.35)
    style = str(stage.rng.choice(["forehand", "backhand", "smash"], p=[0.45, 0.3, 0.25]))
    back, contact, after = {
        "forehand": (
            {"right_shoulder_plane": 1.9, "right_shoulder_lift": 1.0, "right_elbow": 0.7, "spine_twist": -0.7},
            {"right_shoulder_plane": 0.5, "right_shoulder_lift": 1.0, "right_elbow": 0.3, "spine_twist": 0.15},
            {"right_shoulder_plane": -0.6, "right_shoulder_lift": 1.7, "right_elbow": 1.5, "spine_twist": 0.7},
        ),
        "backhand": (
            {"right_shoulder_plane": -0.8, "right_shoulder_lift": 0.9, "right_elbow": 1.1, "spine_twist": 0.75},
            {"right_shoulder_plane": 0.5, "right_shoulder_lift": 1.0, "right_elbow": 0.2, "spine_twist": 0.1},
            {"right_shoulder_plane": 1.5, "right_shoulder_lift": 1.8, "right_elbow": 0.3, "spine_twist": -0.5},
        ),
        "smash": (
            {"right_shoulder_plane": 1.7, "right_shoulder_lift": 1.7, "right_elbow": 2.0, "right_shoulder_twist": -1.4,
             "spine_twist": -0.6, "spine_bend": -0.2, "left_shoulder_plane": 0.5, "left_shoulder_lift": 2.4},
            {"right_shoulder_plane": 0.8, "right_shoulder_lift": 2.8, "right_elbow": 0.15, "right_shoulder_twist": -0.4,
             "spine_twist": 0.2, "spine_bend": 0.1, "left_shoulder_lift": 0.9, "foot_pitch": 0.4},
            {"right_shoulder_plane": -0.4, "right_shoulder_lift": 0.9, "right_elbow": 0.4, "right_shoulder_twist": 0.2,
             "spine_twist": 0.6, "spine_bend": 0.5, "foot_pitch": 0.0},
        ),
    }[style]  # fmt: skip
    base = resting(stage) | {"foot_out": b(0.12, 0.28), "y": -b(0.06, 0.16), "pitch": 0.15, "spine_bend": 0.25,
                             "right_shoulder_lift": 0.7, "right_shoulder_plane": 0.3, "right_elbow": 1.2,
                             "left_shoulder_lift": 0.6, "left_elbow": 1.2, "left_shoulder_plane": 0.3}  # fmt: skip
    track = key_poses(stage, clock(stage, 1.0, hit, hesitation=0.25), base, [
        (0.0, {}), (hit - b(0.16, 0.24), back | {"heading": -0.25, "x": -0.05}),
        (hit, contact | {"heading": 0.1, "z": 0.3 * step, "left_foot_ahead": step, "right_foot_pitch": 0.4}),
        (hit + b(0.14, 0.22), after | {"heading": 0.35, "z": 0.4 * step}),
        (1.0, {"right_shoulder_lift": 0.8, "right_elbow": 1.0, "spine_twist": 0.1}),
    ])  # fmt: skip
    moving = np.abs(np.gradient(track[:, CHANNEL["left_foot_ahead"]]))
    track[:, CHANNEL["left_foot_rise"]] += np.minimum(2.0 * moving, 0.1)
    length, radius, visible = b(0.5, 0.75), b(0.015, 0.03), seen(stage, 0.6)

    def props(positions: Array32) -> tuple[Prop, ...]:
        grip = hand(positions, "right")
        return (stick(grip, grip + length * forearm(positions, "right"), radius, visible),)

    return Plan(track, props=props)


def pullup(stage: Stage) -> Plan:
    """Hang, pull the chin over the bar, go down; one to two repetitions, legs straight, bent or crossed."""
    b, build = stage.between, stage.build
    width, clear = b(0.9, 1.6) * build.shoulder_half_width, b(0.05, 0.45)
    low = build.leg * 0.02 + build.ankle_height + clear + 0.12
    time = clock(stage, hesitation=0.4)
    start = stage.rng.uniform()
    phase = start + b(0.7, 1.6) * time
    pulled = ease(0.5 - 0.5 * np.cos(2 * np.pi * phase)) * b(0.85, 1.0)
    knees = b(0.0, 1.5)
    base = resting(stage) | {"shoulder_plane": b(0.5, 1.2), "shoulder_lift": 2.9, "shoulder_twist": -0.2, "elbow": 0.25,
                             "neck_bend": b(-0.4, 0.0), "spine_bend": b(-0.15, 0.1), "hip_lift": b(-0.1, 0.5),
                             "hip_plane": 0.1,
                             "knee": knees, "ankle": b(0.3, 0.8)}  # fmt: skip
    track = key_poses(stage, time, base, [(0.0, {})])
    track[:, CHANNEL["neck_bend"]] -= 0.25 * pulled
    track[:, CHANNEL["spine_bend"]] -= 0.1 * pulled
    # Elbows come down to the sides; the hands stay on the bar by their targets.
    legs = (("hip_lift", 0.35 * b(-0.3, 1.0)), ("knee", 0.4 * b(-0.3, 1.0)))
    for name, size in (("shoulder_lift", -2.0), ("elbow", 2.1), *legs):
        for side in ("left", "right"):
            track[:, CHANNEL[f"{side}_{name}"]] += size * pulled + 0.06 * drift(stage, 1)[:, 0]
    hang = 0.98 * build.arm + build.lower_trunk + build.upper_trunk + 0.3 * build.shoulder_half_width
    feet_below = build.leg * 1.0 * (1 - 0.25 * min(knees, 1.2))
    bar = low + feet_below + hang + 0.03
    lift = pulled * (0.98 * build.arm - b(0.02, 0.09) * build.height)
    track[:, CHANNEL["y"]] = (bar - hang + lift - build.leg - build.ankle_height) / build.leg
    track[:, CHANNEL["pitch"]] = -0.12 * pulled + 0.05 * drift(stage, 1, fastest=0.8)[:, 0]
    ahead = 0.08 + 0.1 * pulled.mean()
    wrists = np.array([[width, bar, ahead], [-width, bar, ahead]])
    grasp = np.tile(wrists, (stage.frames, 1, 1))
    track[:, CHANNEL["z"]] += 0.04 * np.sin(2 * np.pi * phase) * b(0, 1)
    visible, radius, spare = seen(stage, 0.75), b(0.014, 0.035), b(0.15, 0.8)

    def props(positions: Array32) -> tuple[Prop, ...]:
        middle = hands(positions).mean(axis=0)
        reach = np.array([width + spare, 0.0, 0.0])
        ends = np.repeat(np.stack([middle - reach, middle + reach])[None], stage.frames, axis=0)
        return (stick(ends[:, 0], ends[:, 1], radius, visible),)

    return Plan(track, hanging=True, grasp=grasp, grasping=both_hands(stage), props=props)


def shoot_bow(stage: Stage) -> Plan:
    """Bow arm out, string to the cheek, hold, let go. Half of the takes begin with the bow already up."""
    b = stage.between
    release, aim = b(0.6, 0.85), b(-0.15, 0.2)
    base = resting(stage) | {
        "foot_out": b(0.1, 0.2),
        "neck_turn": b(0.8, 1.15),
        "heading": b(-0.3, 0.1),
        "spine_twist": b(-0.2, 0.1),
    }
    raised = {"left_hand_x": 1.08, "left_hand_y": aim, "left_hand_z": b(0.2, 0.45), "left_shoulder_lift": 1.5,
              "left_elbow": 0.1,
              "right_shoulder_plane": 1.2, "right_shoulder_lift": 1.4, "right_elbow": 1.8, "left_shoulder_plane": 1.3,
              "tool_x": 0.0, "tool_y": 1.0, "tool_z": b(-0.3, 0.3)}  # fmt: skip
    nocked = {"right_hand_x": 0.42, "right_hand_y": aim - 0.02, "right_hand_z": 0.46}
    drawn = {
        "right_hand_x": -b(-0.02, 0.12),
        "right_hand_y": b(0.08, 0.2),
        "right_hand_z": b(0.26, 0.34),
        "spine_side": -0.03,
    }
    lowered = {"left_hand_x": 0.45, "left_hand_y": -0.7, "left_hand_z": 0.45, "right_hand_x": 0.1, "right_hand_y": -0.5,
               "right_hand_z": 0.45, "neck_turn": 0.3}  # fmt: skip
    away = {"right_hand_x": -b(0.15, 0.5), "right_hand_y": b(0.1, 0.25), "right_hand_z": 0.22,
            "left_hand_y": aim - b(0.0, 0.12),
            "tool_z": b(-0.2, 0.8)}  # fmt: skip
    rising = [(0.0, lowered), (0.22, raised | nocked | {"neck_turn": base["neck_turn"]})]
    keys = (rising if stage.chance(0.4) else [(0.0, raised | nocked)] if stage.chance(0.6) else [(0.0,
                                                                                                  raised | drawn)]) + [
        (release - b(0.2, 0.3), drawn), (release - 0.01, {"right_hand_x": drawn["right_hand_x"] - 0.02}),
        (release + 0.09, away), (1.0, {"left_hand_y": aim - b(0.0, 0.3)}),
    ]  # fmt: skip
    time = clock(stage, 1.2, release)
    track = key_poses(stage, time, base, keys)
    length, radius = b(0.9, 1.6), b(0.012, 0.025)
    bow, arrow, gone = seen(stage, 0.8), seen(stage, 0.5), frame_at(time, release + 0.01)

    def props(positions: Array32) -> tuple[Prop, ...]:
        grip, string = hand(positions, "left"), hand(positions, "right")
        half = tool(positions, track) * length / 2
        along = unit(grip - string)
        until = np.arange(stage.frames) <= gone
        return (
            stick(grip - half, grip + half, radius, bow),
            stick(string, string + 0.75 * along, 0.008, arrow & until),
        )

    return Plan(track, reach=both_hands(stage), props=props)


def shoot_gun(stage: Stage) -> Plan:
    """Pistol in both hands, pistol at arm's length sideways, or rifle; recoil once to four times."""
    b = stage.between
    style = str(stage.rng.choice(["pistol", "one hand", "rifle"], p=[0.4, 0.25, 0.35]))
    aim, turned = b(-0.1, 0.2), b(0.2, 0.9)
    base = resting(stage) | {"foot_out": b(0.06, 0.2), "left_foot_ahead": b(0.0, 0.2), "right_foot_ahead": -b(0.0, 0.2)}
    base |= {"y": -b(0.02, 0.08), "shoulder_plane": 0.4, "shoulder_lift": 1.4, "left_elbow": 0.4, "right_elbow": 0.8,
             "neck_bend": b(-0.05, 0.15)}  # fmt: skip
    if style == "pistol":
        up = {"left_hand_x": 0.06, "right_hand_x": -0.04, "left_hand_y": aim - 0.04, "right_hand_y": aim,
              "hand_z": b(0.75, 0.95), "tool_x": 0.0, "tool_y": 0.0, "tool_z": 1.0, "neck_turn": 0.0}  # fmt: skip
    elif style == "one hand":
        base |= {"neck_turn": turned, "spine_twist": b(-0.2, 0.2)}
        x, z = 0.3 + 0.9 * np.sin(turned), 0.9 * np.cos(turned)
        up = {"left_hand_x": x, "left_hand_y": aim, "left_hand_z": z, "tool_x": x - 0.3, "tool_y": 0.0, "tool_z": z}
    else:
        base |= {"neck_turn": turned, "neck_side": -0.2, "heading": -0.5 * turned, "spine_twist": -0.3 * turned}
        x, z = np.sin(turned), np.cos(turned)
        up = {"left_hand_x": 0.75 * x, "left_hand_y": aim, "left_hand_z": 0.75 * z + 0.05,
              "right_hand_x": 0.28 * x - 0.12,
              "right_hand_y": aim - 0.02, "right_hand_z": 0.28 * z + 0.05, "tool_x": x, "tool_y": 0.05, "tool_z": z,
              "right_shoulder_plane": 1.1, "right_shoulder_lift": 1.1}  # fmt: skip
    low = {"left_hand_x": 0.15, "right_hand_x": -0.05, "hand_y": -0.5, "hand_z": 0.5, "tool_y": -0.8}
    keys: list[tuple[float, Pose]] = [(0.0, up), (1.0, {"hand_y": aim + b(-0.03, 0.03)} if style == "pistol" else {})]
    if stage.chance(0.35):
        keys = [(0.0, up | low), (b(0.2, 0.4), up), (1.0, {})]
    time = clock(stage)
    track = key_poses(stage, time, base, keys)
    shots = np.sort(stage.rng.uniform(0.35, 0.92, int(stage.rng.integers(1, 5))))
    since = (np.arange(stage.frames)[:, None] - shots * stage.frames) / FPS
    since = np.maximum(since, 0.0)
    kick = (1.5 * (1 - np.exp(-since / 0.025)) * np.exp(-since / 0.09)).max(axis=1) * b(0.5, 1.3)
    along = track[:, CHANNEL["tool_x"] : CHANNEL["tool_z"] + 1].copy()
    for side in ("left", "right"):
        first = CHANNEL[f"{side}_hand_x"]
        track[:, first : first + 3] += kick[:, None] * (-0.08 * along + [0.0, 0.08, 0.0])
    track[:, CHANNEL["tool_y"]] += 0.3 * kick
    track[:, CHANNEL["spine_bend"]] -= 0.05 * kick
    track[:, CHANNEL["neck_bend"]] -= 0.05 * kick
    length = b(0.14, 0.25) if style != "rifle" else b(0.7, 1.1)
    radius, visible = b(0.012, 0.025), seen(stage, 0.8)

    def props(positions: Array32) -> tuple[Prop, ...]:
        aimed = tool(positions, track)
        grip = hand(positions, "right" if style == "rifle" else "left")
        back = 0.25 * length if style == "rifle" else 0.03
        return (stick(grip - back * aimed, grip + (length - back) * aimed, radius, visible),)

    free_right = 0.0 if style == "one hand" else 1.0
    if style == "one hand":
        track[:, CHANNEL["right_shoulder_lift"]] = b(0.1, 0.4)
        track[:, CHANNEL["right_shoulder_plane"]] = b(0.6, 1.4)
    return Plan(track, reach=both_hands(stage, 1.0, free_right), props=props)
