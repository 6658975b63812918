"""Tracks: key poses, clocks and noise, the material that every motion programme is made of.

A programme fills a *track*: one column a channel, one row a frame. Channels are the joint angles of `skeleton.DOFS` and

- `x`, `y`, `z`: the pelvis from where it is when the person stands at the origin, leg lengths; `pitch`, `heading`,
  `roll`: its orientation;
- `left_foot_out`, `_ahead`, `_rise` (leg lengths from below the hip), `_pitch` (toes down) and `_turn` (toes out), and
  the same of the right;
- `left_hand_x`, `_y`, `_z` and right: the wrist in arm lengths from the middle of the shoulders, in the chest's frame;
- `tool_x`, `tool_y`, `tool_z`: where a held stick points, in the chest's frame.

Feet and hands are places to be reached (inverse kinematics), so feet stay where they are planted while the body moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dimofs.datasets.synthetic.skeleton import DOF, DOFS, Array64, Build

#: Frames a second.
FPS = 30

CHANNELS: tuple[str, ...] = (
    *DOFS, "x", "y", "z", "pitch", "heading", "roll",
    *(f"{side}_foot_{part}" for part in ("out", "ahead", "rise", "pitch", "turn") for side in ("left", "right")),
    *(f"{side}_hand_{axis}" for side in ("left", "right") for axis in "xyz"),
    "tool_x", "tool_y", "tool_z",
)  # fmt: skip

#: Column of a channel in a track.
CHANNEL: dict[str, int] = {name: index for index, name in enumerate(CHANNELS)}

#: Targets of a key pose. A name without its side (`elbow`) stands for both sides.
Pose = dict[str, float]

_COLUMNS = {name: [column] for name, column in CHANNEL.items()} | {
    name.removeprefix("left_"): [column, CHANNEL[name.replace("left", "right")]]
    for name, column in CHANNEL.items()
    if name.startswith("left_")
}
_BODY = slice(0, CHANNEL["x"])
_TRUNK_AND_ARMS = slice(0, DOF["left_hip_plane"])


@dataclass(frozen=True)
class Stage:
    """Who moves, for how long, and the randomness."""

    frames: int
    build: Build
    rng: np.random.Generator

    def between(self, low: float, high: float) -> float:
        """A uniform draw."""
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        """Whether something happens."""
        return bool(self.rng.random() < probability)

    @property
    def seconds(self) -> Array64:
        """Time of the frames, (T,)."""
        return np.arange(self.frames) / FPS


def clock(
    stage: Stage, lasts: float = 0.0, around: float = 0.5, hesitation: float = 0.35, unevenness: float = 0.25
) -> Array64:
    """A random monotone clock (T,) of an action that begins at 0 and ends at 1.

    Tempo drifts, and now and then (`hesitation`) there is nearly a stop. An action that naturally `lasts` longer
    (seconds) than the clip is trimmed to a part that contains the moment `around`; a longer clip shows it slowly.
    """
    time = np.linspace(0.0, 1.0, stage.frames)
    phase = stage.rng.uniform(0, 2 * np.pi, 3)
    speed = np.exp(unevenness * np.sin(np.outer(time, [3.1, 6.3, 11.0]) + phase) @ [0.8, 0.6, 0.35])
    if stage.chance(hesitation):
        middle, width, depth = stage.between(0.1, 0.9), stage.between(0.05, 0.14), stage.between(0.6, 0.97)
        speed *= 1 - depth * np.exp(-(((time - middle) / width) ** 2))
    passed = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2)])
    span = min(1.0, stage.frames / FPS / max(lasts * stage.between(0.85, 1.15), 1e-3))
    start = np.clip(around - span * stage.between(0.3, 0.7), 0.0, 1.0 - span)
    return start + span * passed / passed[-1]


def beats(stage: Stage, slowest: float, fastest: float, unsteady: float = 0.12) -> Array64:
    """Phase (T,) in cycles of something repeated `slowest` to `fastest` times a second, never quite evenly."""
    rate = stage.between(slowest, fastest) / FPS * np.exp(unsteady * drift(stage, 1)[:, 0])
    return stage.rng.uniform() + np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2)])


def drift(stage: Stage, columns: int, slowest: float = 0.25, fastest: float = 2.2) -> Array64:
    """Smooth noise (T, columns) of unit size: three sines each, the slow ones larger."""
    rate = np.exp(stage.rng.uniform(np.log(slowest), np.log(fastest), (3, 1, columns)))
    phase = stage.rng.uniform(0, 2 * np.pi, (3, 1, columns))
    waves = np.sin(2 * np.pi * rate * stage.seconds[:, None] + phase) / np.sqrt(rate / slowest)
    return waves.sum(axis=0) * 0.9


def ease(time: Array64) -> Array64:
    """0 to 1 with slow ends."""
    inside = np.clip(time, 0.0, 1.0)
    return inside * inside * (3 - 2 * inside)


def bump(time: Array64, rise: float, top: float, fall: float, end: float) -> Array64:
    """0 before `rise`, 1 between `top` and `fall`, 0 after `end`."""
    return ease((time - rise) / (top - rise)) * (1 - ease((time - fall) / (end - fall)))


def resting(stage: Stage) -> Pose:
    """A person's own way of standing: arms hanging, feet somewhat apart, a little slouch, eyes somewhere."""
    b = stage.between
    return {
        "spine_bend": b(-0.03, 0.16), "spine_twist": b(-0.12, 0.12), "spine_side": b(-0.06, 0.06),
        "neck_bend": b(-0.1, 0.2), "neck_turn": b(-0.4, 0.4), "neck_side": b(-0.08, 0.08),
        "shoulder_plane": b(0.8, 1.5), "shoulder_lift": b(0.12, 0.3), "shoulder_twist": b(0.1, 0.7),
        "left_elbow": b(0.12, 0.45), "right_elbow": b(0.12, 0.45), "wrist": b(0.0, 0.3),
        "knee": 0.1, "hip_lift": 0.05, "y": b(-0.035, -0.012),
        "foot_out": b(0.01, 0.12), "foot_turn": b(0.05, 0.4),
        "left_foot_ahead": b(-0.08, 0.08), "right_foot_ahead": b(-0.08, 0.08),
        "left_hand_x": 0.35, "right_hand_x": -0.35, "hand_y": -0.6, "hand_z": 0.4,
    }  # fmt: skip


def seated(stage: Stage) -> Pose:
    """Sitting on something between a low stool and a bar chair."""
    b = stage.between
    seat = b(0.42, 0.62)
    return {
        "y": seat - 1, "z": -b(0.42, 0.5), "pitch": b(-0.2, 0.1), "spine_bend": b(0.05, 0.35),
        "foot_ahead": b(-0.12, 0.15), "foot_out": b(0.0, 0.15),
    }  # fmt: skip


def posture(stage: Stage) -> Pose:
    """What a person does who acts with the hands only: mostly stands, sometimes sits or stands with legs apart."""
    if stage.chance(0.2):
        return resting(stage) | seated(stage)
    if stage.chance(0.2):
        return resting(stage) | {"foot_out": stage.between(0.15, 0.3), "y": -0.04}
    return resting(stage)


def key_poses(stage: Stage, time: Array64, base: Pose, keys: Sequence[tuple[float, Pose]]) -> Array64:
    """A track (T, C) through key poses.

    Args:
        stage: who moves.
        time: (T,) the clock, 0 to 1.
        base: the pose that the first key starts from.
        keys: (time, pose) in order; channels that a pose does not name stay as they are at the key before.

    Between two keys a channel follows a cubic that never overshoots a key. Every take has its own sizes of the
    movements and small lags between the parts of the body.
    """
    rng = stage.rng
    values = np.zeros((len(keys), len(CHANNELS)))
    for name, value in base.items():
        values[:, _COLUMNS[name]] = value
    rest = values[0].copy()
    for index, (_, pose) in enumerate(keys):
        for name, value in pose.items():
            values[index:, _COLUMNS[name]] = value
    size = np.exp(rng.normal(0.0, 0.1, len(DOFS)))
    values[:, _BODY] = rest[_BODY] + (values[:, _BODY] - rest[_BODY]) * size
    if len(keys) == 1:
        return np.repeat(values, stage.frames, axis=0)

    times = np.array([at for at, _ in keys], dtype=np.float64)
    lag = np.zeros(len(CHANNELS))
    lag[_TRUNK_AND_ARMS] = rng.normal(0.0, 0.018, DOF["left_hip_plane"])
    return _through(times, values, np.clip(time[:, None] - lag, times[0], times[-1]))


def frame_at(time: Array64, moment: float) -> int:
    """The frame nearest to a moment of a clock."""
    return int(np.abs(time - moment).argmin())


def wrists(left: tuple[float, float, float], right: tuple[float, float, float]) -> Pose:
    """Places of both hands, arm lengths in the chest's frame."""
    (x, y, z), (u, v, w) = left, right
    return {
        "left_hand_x": x,
        "left_hand_y": y,
        "left_hand_z": z,
        "right_hand_x": u,
        "right_hand_y": v,
        "right_hand_z": w,
    }


def _through(times: Array64, values: Array64, query: Array64) -> Array64:
    """Monotone cubic Hermite interpolation of `values` (K, C) at `times` (K,), asked at (T, C)."""
    step = np.diff(times)
    slope = np.diff(values, axis=0) / step[:, None]
    tangent = np.zeros_like(values)
    before, after = slope[:-1], slope[1:]
    same = before * after > 0
    total = np.where(same, before + after, 1.0)
    tangent[1:-1] = np.where(same, 2 * before * after / total, 0.0)  # harmonic mean, 0 at a turning point
    tangent[0], tangent[-1] = 0.5 * slope[0], 0.5 * slope[-1]
    index = np.clip(np.searchsorted(times, query, side="right") - 1, 0, len(step) - 1)
    width = step[index]
    u = (query - times[index]) / width
    columns = np.arange(values.shape[1])
    a, b = values[index, columns], values[index + 1, columns]
    return (
        a
        + (b - a) * u * u * (3 - 2 * u)
        + width * u * (1 - u) * ((1 - u) * tangent[index, columns] - u * tangent[index + 1, columns])
    )
