"""Walk, run, climb, march and jump."""

from __future__ import annotations

import numpy as np

from dimofs.datasets.synthetic.gait import Gait, go
from dimofs.datasets.synthetic.plan import Plan
from dimofs.datasets.synthetic.props import carried
from dimofs.datasets.synthetic.tracks import (
    CHANNEL,
    FPS,
    Pose,
    Stage,
    bump,
    clock,
    drift,
    ease,
    key_poses,
    resting,
)


def _striding_arms(stage: Stage) -> Pose:
    return {"shoulder_plane": stage.between(0.15, 0.4), "shoulder_lift": stage.between(0.0, 0.15)}


def walk(stage: Stage) -> Plan:
    """Stroll to hurry."""
    b = stage.between
    hurry = stage.rng.uniform()
    gait = Gait(
        cadence=0.72 + 0.4 * hurry + b(-0.05, 0.05), stride=1.15 + 0.5 * hurry + b(-0.1, 0.1), stance=b(0.58, 0.64),
        lift=b(0.09, 0.15), bounce=b(0.008, 0.018), height=b(0.015, 0.05), push=b(0.45, 0.75), strike=b(0.15, 0.35),
        width=b(-0.05, 0.02),
    )  # fmt: skip
    base = resting(stage) | _striding_arms(stage) | {"pitch": b(-0.02, 0.08), "elbow": b(0.15, 0.4) + 0.3 * hurry**3}
    return go(stage, gait, base, b(0.12, 0.4) + 0.2 * hurry, stage.rng.normal(0, 0.12))


def run(stage: Stage) -> Plan:
    """Jog to sprint; a slow jog has a walk's arms and a fast walk a jog's legs."""
    b = stage.between
    haste = stage.rng.uniform()
    gait = Gait(
        cadence=1.25 + 0.3 * haste + b(-0.08, 0.08), stride=1.75 + 1.3 * haste + b(-0.15, 0.15),
        stance=0.45 - 0.12 * haste, lift=0.22 + 0.22 * haste, bounce=-b(0.025, 0.045), height=b(0.05, 0.1),
        push=b(0.6, 0.9), strike=b(-0.05, 0.12), width=b(-0.08, -0.03),
    )  # fmt: skip
    base = resting(stage) | _striding_arms(stage)
    base |= {"pitch": 0.05 + 0.15 * haste + b(0, 0.06), "elbow": b(0.9, 1.7), "shoulder_twist": b(0.2, 0.6)}
    return go(stage, gait, base, 0.35 + 0.45 * haste, stage.rng.normal(0, 0.1))


def wander(stage: Stage) -> Plan:
    """Slow steps that turn, with looks to the side."""
    b = stage.between
    gait = Gait(
        cadence=b(0.5, 0.85), stride=b(0.6, 1.1), stance=b(0.62, 0.68), lift=b(0.07, 0.12), bounce=0.008,
                height=b(0.01, 0.04),
        push=b(0.3, 0.6), strike=b(0.05, 0.2), width=b(-0.02, 0.05),
    )  # fmt: skip
    base = resting(stage) | {"shoulder_plane": 0.4, "elbow": b(0.2, 1.2)}
    plan = go(stage, gait, base, b(0.05, 0.25), b(0.5, 1.8), b(0.0, 0.4))
    plan.track[:, CHANNEL["neck_turn"]] += 0.3 * drift(stage, 1, fastest=1.0)[:, 0]
    return plan


def march(stage: Stage) -> Plan:
    """High knees on the spot or forwards."""
    b = stage.between
    gait = Gait(
        cadence=b(0.9, 1.4), stride=b(0.1, 0.9), stance=b(0.52, 0.58), lift=b(0.3, 0.55), bounce=-b(0.0, 0.02),
                height=0.03,
        push=b(0.2, 0.5), strike=-0.3, width=b(-0.03, 0.02),
    )  # fmt: skip
    base = resting(stage) | {"shoulder_plane": 0.2, "shoulder_lift": 0.2, "elbow": b(0.4, 1.5), "pitch": b(-0.05, 0.1)}
    return go(stage, gait, base, b(0.3, 0.8), stage.rng.normal(0, 0.1))


def climb_stairs(stage: Stage) -> Plan:
    """Up, and one time in five down, with a hand on the rail or swinging."""
    b, down = stage.between, stage.chance(0.2)
    rise = b(0.17, 0.24)
    gait = Gait(
        cadence=b(0.7, 1.15), stride=b(0.62, 0.95), stance=b(0.58, 0.64), lift=b(0.1, 0.18), bounce=b(0.0, 0.015),
        height=b(0.03, 0.07), push=b(0.3, 0.6), strike=b(-0.35, 0.0), width=b(-0.04, 0.02),
        climb=-rise if down else rise,
    )  # fmt: skip
    base = resting(stage) | _striding_arms(stage)
    base |= {"pitch": b(0.0, 0.1) if down else b(0.08, 0.28), "neck_bend": b(-0.1, 0.5), "elbow": b(0.2, 0.9)}
    plan = go(stage, gait, base, b(0.1, 0.35), stage.rng.normal(0, 0.05))
    if stage.chance(0.35):
        plan.track[:, CHANNEL["right_shoulder_lift"]] = b(0.4, 0.75)
        plan.track[:, CHANNEL["right_shoulder_plane"]] = b(0.4, 0.9)
    return plan


def jump(stage: Stage) -> Plan:
    """Crouch, fly, land; on the spot or forwards, sometimes with a swing of the arms overhead."""
    b = stage.between
    height = b(0.12, 0.45)
    lasts = max(b(0.95, 1.3), stage.frames / FPS)
    flight = 2 * np.sqrt(2 * height / 9.81) / lasts
    off = b(0.3, 0.4)
    land = off + flight
    dip, far, swing = b(0.15, 0.38), b(0.0, 1.3) * stage.chance(0.6), b(0.8, 2.4)
    time = clock(stage, lasts, off + flight / 2, hesitation=0.0, unevenness=0.12)
    track = key_poses(stage, time, resting(stage) | {"shoulder_plane": b(0.2, 1.2)}, [
        (0.0, {}),
        (0.55 * off, {"y": -dip, "pitch": 0.35 + 0.5 * dip, "spine_bend": 0.4, "shoulder_lift": -0.6,
                      "neck_bend": -0.3}),
        (off, {"y": 0.08, "pitch": 0.08, "spine_bend": 0.0, "shoulder_lift": 0.6 * swing, "elbow": 0.3,
               "neck_bend": 0.0}),
        (off + 0.3 * flight, {"shoulder_lift": swing}),
        (land, {"y": -0.02, "pitch": 0.15, "spine_bend": 0.2, "shoulder_lift": 0.5 * swing + 0.2, "elbow": 0.6}),
        (land + 0.14, {"y": -0.8 * dip, "pitch": 0.4, "spine_bend": 0.45, "shoulder_lift": 0.5}),
        (land + 0.4, {"y": -0.25 * dip, "pitch": 0.1, "spine_bend": 0.15, "shoulder_lift": 0.25}),
    ])  # fmt: skip
    air = np.clip((time - off) / flight, 0.0, 1.0)
    arc = 4 * air * (1 - air) * height / stage.build.leg
    tuck = b(0.0, 0.35) * np.sin(np.pi * air) ** 2
    track[:, CHANNEL["y"]] += arc
    track[:, CHANNEL["z"]] += far * (air + 0.12 * (ease(time / off) - 1)) + 0.12 * far
    for side in ("left", "right"):
        late = b(-0.03, 0.03)
        track[:, CHANNEL[f"{side}_foot_rise"]] += arc + tuck * b(0.9, 1.1)
        track[:, CHANNEL[f"{side}_foot_ahead"]] += far * air - 0.25 * tuck + 0.18 * far * air**3 * (1 - air)
        heel = bump(time, 0.72 * off, off + late, off + 0.3 * flight, land)
        track[:, CHANNEL[f"{side}_foot_pitch"]] += 0.75 * heel
    return Plan(track, props=lambda positions: carried(stage, positions, 0.1))
