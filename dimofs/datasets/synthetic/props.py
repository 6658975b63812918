"""Things that people hold, throw and hang from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dimofs.datasets.synthetic.plan import Prop, chest_axes
from dimofs.datasets.synthetic.skeleton import JOINT, Array32, Array64, unit
from dimofs.datasets.synthetic.tracks import CHANNEL, FPS, Stage

_GRAVITY = np.array([0.0, -9.81, 0.0])


def ball(centres: Array64 | Array32, radius: float, present: NDArray[np.bool_]) -> Prop:
    """A ball at (T, 3)."""
    path = np.asarray(centres, np.float32)
    return Prop("ball", path, path, radius, present)


def stick(start: Array64 | Array32, end: Array64 | Array32, radius: float, present: NDArray[np.bool_]) -> Prop:
    """A stick between two moving points (T, 3)."""
    return Prop("stick", np.asarray(start, np.float32), np.asarray(end, np.float32), radius, present)


def seen(stage: Stage, probability: float) -> NDArray[np.bool_]:
    """(T,) True with a probability for the whole take, else False: a thing too dark, small or hidden to be seen."""
    return np.full(stage.frames, stage.chance(probability))


def hand(positions: Array32, side: str) -> Array32:
    """Where a hand holds things, (T, 3): between the wrist and the end of the hand."""
    return 0.35 * positions[:, JOINT[f"{side}_wrist"]] + 0.65 * positions[:, JOINT[f"{side}_hand"]]


def hands(positions: Array32) -> Array32:
    """Between the two hands, (T, 3)."""
    return (0.5 * (hand(positions, "left") + hand(positions, "right"))).astype(np.float32)


def forearm(positions: Array32, side: str) -> Array64:
    """Unit direction (T, 3) from the elbow to the end of the hand."""
    return unit(positions[:, JOINT[f"{side}_hand"]] - positions[:, JOINT[f"{side}_elbow"]])


def tool(positions: Array32, track: Array64) -> Array64:
    """Unit direction (T, 3) in the world of the track's `tool` channels."""
    local = unit(track[:, CHANNEL["tool_x"] : CHANNEL["tool_z"] + 1])
    return (chest_axes(positions) @ local[..., None])[..., 0]


def thrown(held: Array64 | Array32, release: int, velocity: Array64, radius: float) -> Array64:
    """A path (T, 3) that follows the hand up to frame `release`, flies from there and rolls on once on the ground."""
    time = (np.arange(len(held)) - release)[:, None] / FPS
    flight = held[release] + velocity * time + 0.5 * _GRAVITY * time**2
    flight[:, 1] = np.maximum(flight[:, 1], radius)
    return np.where(time <= 0, held, flight)


def carried(stage: Stage, positions: Array32, probability: float) -> tuple[Prop, ...]:
    """Now and then a ball, a bag's handle or a stick in a free hand, so that carrying something means nothing."""
    if not stage.chance(probability):
        return ()
    side = "left" if stage.chance(0.5) else "right"
    grip = hand(positions, side)
    if stage.chance(0.4):
        radius = stage.between(0.04, 0.13)
        return (ball(grip - [0.0, 0.5 * radius, 0.0], radius, seen(stage, 1.0)),)
    arm = forearm(positions, side)
    lean = stage.rng.normal(0.0, 1.0, 3)
    across = unit(lean - (arm @ lean)[:, None] * arm)
    length, back, radius = stage.between(0.2, 1.0), stage.between(0.1, 0.5), stage.between(0.012, 0.035)
    return (stick(grip - back * length * across, grip + (1 - back) * length * across, radius, seen(stage, 1.0)),)


def stray_props(stage: Stage, positions: Array32) -> tuple[Prop, ...]:
    """In one take of five a thing that has nothing to do with it: a ball lying, rolling or flying by, or a pole."""
    if not stage.chance(0.2):
        return ()
    b, time = stage.between, stage.seconds[:, None]
    place = positions[:, 0].mean(axis=0) * [1, 0, 1] + [b(-1.1, 1.1), 0.0, b(-0.5, 1.1)]
    if stage.chance(0.35):
        lean, length = stage.rng.normal(0.0, 0.12, 3) * [1, 0, 1] + [0.0, 1.0, 0.0], b(0.4, 2.2)
        foot = np.repeat(place[None], stage.frames, axis=0)
        return (stick(foot, foot + length * lean, b(0.012, 0.04), seen(stage, 1.0)),)
    radius = b(0.05, 0.13)
    velocity = stage.rng.normal(0.0, 1.2, 3) * [1, 0, 1] * stage.chance(0.6)
    if stage.chance(0.4):
        middle = time - b(0.2, 0.8) * stage.frames / FPS
        path = place + [0.0, b(1.2, 2.2), 0.0] + 4 * velocity * middle + 0.5 * _GRAVITY * middle**2
        path[:, 1] = np.maximum(path[:, 1], radius)
    else:
        path = place + [0.0, radius, 0.0] + velocity * (time - time.mean())
    return (ball(path, radius, seen(stage, 1.0)),)
