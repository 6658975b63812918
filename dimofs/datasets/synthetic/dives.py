"""Dives, from the four words of a class of Diving48: take-off, somersaults, twists, position.

A dive is played in the *dive frame*: metres, y up from the water, the tip of the board above the origin, z out over the
pool. Forward and reverse divers face +z, back and inward divers the board; forward and inward divers turn forwards,
the others backwards. What is in the vocabulary is played by its grammar; there is no programme for any single class.

The body is a point that falls and a pose that turns. On the board the pose decides where the feet press; in the air the
centre of mass flies a parabola and `flight.fly` finds the angular momentum with which the dive comes out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from dimofs.datasets.synthetic.flight import centre_of_mass, fly, oriented
from dimofs.datasets.synthetic.skeleton import (
    DOF,
    DOFS,
    JOINT,
    Array32,
    Array64,
    Build,
    clamp,
    forward_kinematics,
    rotation,
    solve_arms,
    torso,
)
from dimofs.datasets.synthetic.tracks import Pose

GRAVITY = 9.81  # m/s²
_STEPS = 8  # of the simulation for one frame
_AFTER = 0.2  # seconds shown after the first touch of the water: the body goes under
_BEFORE = (0.2, 0.45)  # seconds shown before take-off, at most
_UNDER = 0.8  # share of the speed that the water leaves
_LEAN = 0.16  # seconds in which the rotation builds up on the board
_CLEAR = 0.3  # metres from the tip at which every joint passes the board
_LEFT = 0.25  # seconds after take-off until which the feet are still at the tip


@dataclass(frozen=True)
class Dive:
    """What a class of the vocabulary says."""

    somersaults: float
    twists: float
    position: str  #: "FREE", "PIKE", "STR" or "TUCK"
    outwards: bool  #: the diver faces the pool
    forwards: bool  #: the somersault is a forward one

    @property
    def headfirst(self) -> bool:
        """Whether the hands enter first."""
        return self.somersaults % 1 == 0.5


def parse(words: tuple[str, str, str, str]) -> Dive:
    """Read a class of the vocabulary. Raises ValueError for words that are not in its grammar."""
    takeoff, somersaults, twists, position = words
    if takeoff not in ("Forward", "Back", "Reverse", "Inward") or position not in ("FREE", "PIKE", "STR", "TUCK"):
        raise ValueError(f"no dive is called {words}")
    return Dive(
        somersaults=0.5 if somersaults == "Dive" else _number(somersaults, "som"),
        twists=0.0 if twists == "NoTwis" else _number(twists, "Twis"),
        position=position,
        outwards=takeoff in ("Forward", "Reverse"),
        forwards=takeoff in ("Forward", "Inward"),
    )


def _number(word: str, unit: str) -> float:
    """Read "15som" as 1.5, "2som" as 2, "05Twis" as 0.5."""
    digits = word.removesuffix(unit)
    if digits == word or not digits.isdigit() or len(digits) > 2:
        raise ValueError(f"{word!r} is no number of {unit}")
    return int(digits) / 10 ** (len(digits) - 1)


@dataclass(frozen=True)
class Board:
    """Where divers jump from."""

    height: float  #: metres above the water
    give: float  #: metres that the tip goes down when a diver presses it; 0: a platform
    spring: tuple[float, float]  #: range of the speed upwards at take-off, m/s


@dataclass(frozen=True)
class Take:
    """One dive of one diver."""

    positions: Array32  #: (T, 21, 3) in the dive frame
    tip: Array64  #: (T,) height of the board's tip, metres
    entry: int  #: first frame in which the water is touched
    takeoff: int  #: first frame off the board
    mass: Array64  #: (T, 3) centre of mass, metres
    momentum: float  #: kg·m²/s about the axis of the somersault
    rate: int  #: frames a second


def perform(dive: Dive, board: Board, build: Build, rate: int, rng: np.random.Generator) -> Take:
    """A random take of a dive at `rate` frames a second, from the last moments on the board until the body is under."""
    interval = 1 / (rate * _STEPS)
    style = _Style.draw(rng)
    flight_time, speed = _ballistics(dive, board, build, style, rng)
    press, hurdle = rng.uniform(0.34, 0.46), rng.uniform(0.1, 0.3) if dive.outwards else 0.0
    board_steps = round((hurdle + press) / interval)
    air_steps = round(flight_time / interval)
    after_steps = round(_AFTER / interval)
    side = rng.choice((-1, 1))  # to which the diver twists

    time = interval * np.arange(-board_steps, air_steps + after_steps + 1, dtype=np.float64)
    course, tilting = _course(dive, style, press, hurdle, air_steps * interval, int(side))
    body = _posed(build, course(time))
    mass = centre_of_mass(body)
    toes = body[:, JOINT["left_toe"] :].mean(1)

    # On the board the centre of mass stays over the toes; the rotation builds up in the last moments.
    over = mass - toes
    balance = -np.arctan2(over[:, 2], over[:, 1])
    air = slice(board_steps, board_steps + air_steps + 1)
    sign = 1 if dive.forwards else -1
    flown = fly(
        body[air],
        build,
        interval,
        start=float(balance[board_steps]),
        lean=_LEAN,
        somersault=sign * (2 * np.pi * dive.somersaults + rng.normal(0, 0.06)),
        twist=int(side) * 2 * np.pi * dive.twists,
        tilting=tilting(time[air]),
    )
    leaning = flown.rate / 2 / _LEAN * np.maximum(time + _LEAN, 0) ** 2
    somersault = np.concatenate(
        [(balance + leaning)[:board_steps], flown.somersault, np.repeat(flown.somersault[-1:], after_steps)]
    )
    tilt, twist = (
        np.concatenate([np.zeros(board_steps), angle, np.repeat(angle[-1:], after_steps)])
        for angle in (flown.tilt, flown.twist)
    )
    facing = rotation(np.zeros(1), np.full(1, 0.0 if dive.outwards else np.pi), np.zeros(1))
    turn = facing @ oriented(somersault, tilt, twist)

    tip, feet = _board(board, time, press, dive.outwards)
    place = feet + np.einsum("tij,tj->ti", turn, mass - toes)  # of the centre of mass
    reached = np.einsum("tij,tpj->tpi", turn, body - mass[:, None])  # from the centre of mass to the joints
    falling = _fallen(place[board_steps], speed, time[board_steps:], air_steps * interval)
    speed[2] = max(speed[2], _clearing(reached[air] + falling[: air_steps + 1, None], tip[air], speed[2], time[air]))
    place[board_steps:] = _fallen(place[board_steps], speed, time[board_steps:], air_steps * interval)
    positions = reached + place[:, None]
    takeoff = min(round(rng.uniform(*_BEFORE) * rate), board_steps // _STEPS)
    shown = slice(board_steps - takeoff * _STEPS, None, _STEPS)
    return Take(
        positions=positions[shown].astype(np.float32),
        tip=tip[shown],
        entry=int(np.argmax(positions[shown, :, 1].min(1) < 0)),
        takeoff=takeoff,
        mass=place[shown],
        momentum=flown.momentum,
        rate=rate,
    )


def _ballistics(
    dive: Dive, board: Board, build: Build, style: _Style, rng: np.random.Generator
) -> tuple[float, Array64]:
    """How long the flight lasts, seconds, and the velocity of the centre of mass at take-off, (3,) m/s."""
    ends = _posed(build, np.stack([_row(style.takeoff()), _row(style.entry(dive.headfirst))]))
    centres = centre_of_mass(ends)[:, 1]
    above_feet = centres[0] - ends[0, JOINT["left_toe"] :, 1].mean()
    reach = ends[1, :, 1].max() - centres[1] if dive.headfirst else centres[1] - ends[1, :, 1].min()
    up = rng.uniform(*board.spring)
    drop = board.height + above_feet - reach
    lasts = (up + np.sqrt(up**2 + 2 * GRAVITY * drop)) / GRAVITY
    # The water is entered at a distance from the tip; who has turned once more does not travel further.
    return lasts, np.array([0.0, up, rng.uniform(1.3, 2.1) / lasts])


def _clearing(joints: Array64, tip: Array64, speed: float, time: Array64) -> float:
    """The speed away from the board, m/s, at which no joint passes the tip's height (T,) nearer than `_CLEAR`.

    joints: (T, 21, 3) in flight at the given speed; time: (T,) since take-off.
    """
    at_risk = (joints[..., 1] < tip[:, None]) & (time[:, None] > _LEFT)
    lacking = (_CLEAR - joints[..., 2]) / np.maximum(time, _LEFT)[:, None]
    return speed + float(lacking.max(initial=-np.inf, where=at_risk))


def _fallen(start: Array64, speed: Array64, time: Array64, entry: float) -> Array64:
    """The centre of mass (T, 3) at `time` (T,) since take-off: a parabola, and from the entry on a straight line."""
    flying = np.minimum(time, entry)[:, None]
    path = start + speed * flying - np.array([0, GRAVITY / 2, 0]) * flying**2
    final = speed - np.array([0, GRAVITY * entry, 0])
    return path + _UNDER * final * np.maximum(time - entry, 0)[:, None]


def _board(board: Board, time: Array64, press: float, outwards: bool) -> tuple[Array64, Array64]:
    """Height of the tip (T,), and the place of the toes (T, 3) until take-off, in the dive frame.

    The tip is pressed down and comes up again, then swings out. Who comes from a hurdle falls onto it.
    """
    phase = np.clip(1 + time / press, 0, 1)
    tip = board.height - board.give * np.sin(np.pi * phase)
    loose = np.maximum(time, 0)
    tip += 0.2 * board.give * np.exp(-3 * loose) * np.sin(2 * np.pi * 4 * loose)
    before = np.maximum(-press - time, 0) * outwards
    landing = 3.0 if board.give else 2.0  # m/s
    fall = landing * before - GRAVITY / 2 * before**2
    return tip, np.stack([0 * time, tip + np.where(before > 0, fall, 0), -1.2 * before], -1)


@dataclass(frozen=True)
class _Style:
    """A diver's own way with every position; radians."""

    hips: float
    knees: float
    back: float
    arms: float
    speed: float  #: relative, of folding and opening

    @staticmethod
    def draw(rng: np.random.Generator) -> _Style:
        return _Style(
            hips=rng.uniform(-0.15, 0.0),
            knees=rng.uniform(-0.2, 0.0),
            back=rng.uniform(-0.15, 0.15),
            arms=rng.uniform(-0.1, 0.1),
            speed=rng.uniform(0.85, 1.15),
        )

    def takeoff(self) -> Pose:
        """Stretched, arms overhead."""
        return {"shoulder_plane": 0.5, "shoulder_lift": 2.85 + self.arms, "elbow": 0.15, "ankle": 0.9, "grasp": 0.0}

    def crouch(self) -> Pose:
        """The board pressed down, arms swinging through."""
        return {
            "knee": 1.25 + self.knees, "hip_lift": 1.05 + self.hips, "spine_bend": 0.3, "ankle": -0.5,
            "shoulder_plane": 0.3, "shoulder_lift": 0.2 + self.arms, "elbow": 0.3, "grasp": 0.0,
        }  # fmt: skip

    def fold(self, position: str) -> Pose:
        """The position of the flight: tuck, pike or straight."""
        if position == "TUCK":
            return {
                "hip_lift": 2.25 + self.hips, "knee": 2.5 + self.knees, "spine_bend": 0.95 + self.back,
                "neck_bend": 0.35, "ankle": 0.6, "shoulder_plane": 0.1, "shoulder_lift": 0.9, "elbow": 0.8,
                "hip_plane": 0.12, "grasp": 1.0,
            }  # fmt: skip
        if position == "PIKE":
            return {
                "hip_lift": 2.3 + self.hips, "knee": 0.0, "spine_bend": 0.8 + self.back, "neck_bend": 0.3,
                "ankle": 0.95, "shoulder_plane": 0.1, "shoulder_lift": 1.2, "elbow": 0.3, "hip_plane": 0.0,
                "grasp": 1.0,
            }  # fmt: skip
        return {"shoulder_plane": 1.5, "shoulder_lift": 1.6 + self.arms, "elbow": 0.05, "ankle": 0.95,
                "spine_bend": -0.15, "neck_bend": -0.1}  # fmt: skip

    def wrapped(self, up: str) -> Pose:
        """Straight, one arm (`up`) bent behind the head, the other across the belly: thin about the long axis."""
        down = "right" if up == "left" else "left"
        return {
            f"{up}_shoulder_plane": 1.2, f"{up}_shoulder_lift": 2.6, f"{up}_elbow": 2.1, f"{up}_shoulder_twist": 0.6,
            f"{down}_shoulder_plane": 0.5, f"{down}_shoulder_lift": 0.6, f"{down}_elbow": 1.75 + self.arms,
            f"{down}_shoulder_twist": 1.2, "ankle": 0.95, "spine_bend": 0.0, "grasp": 0.0,
        }  # fmt: skip

    def entry(self, headfirst: bool) -> Pose:
        """Stretched: arms overhead, or at the sides where the feet come first."""
        if headfirst:
            return {"shoulder_plane": 0.25, "shoulder_lift": 3.05, "elbow": 0.03, "ankle": 0.95, "wrist": 0.0,
                    "grasp": 0.0}  # fmt: skip
        return {"shoulder_plane": 1.3, "shoulder_lift": 0.08, "elbow": 0.1, "ankle": 0.95, "grasp": 0.0}


_STRAIGHT: Pose = {"hip_lift": 0.0, "knee": 0.0, "spine_bend": 0.0, "neck_bend": 0.0, "hip_plane": 0.0}
_GRASP = len(DOFS)  # the column after the joint angles: how far the hands hold the shins


def _row(pose: Pose, before: Array64 | None = None) -> Array64:
    """A pose as a row (D + 1,): what it does not name stays as `before`, zero at first; `elbow` means both sides."""
    row = np.zeros(len(DOFS) + 1) if before is None else before.copy()
    for name, value in pose.items():
        if name == "grasp":
            row[_GRASP] = value
        elif name in DOF:
            row[DOF[name]] = value
        else:
            row[[DOF[f"left_{name}"], DOF[f"right_{name}"]]] = value
    return row


def _course(
    dive: Dive, style: _Style, press: float, hurdle: float, lasts: float, side: int
) -> tuple[PchipInterpolator, PchipInterpolator]:
    """Pose (D + 1 columns) and tilt (0 to 1) over time, seconds from take-off."""
    behind = {"shoulder_plane": 0.3, "shoulder_lift": -0.7, "elbow": 0.1, "ankle": 0.0, "grasp": 0.0}
    if dive.outwards:
        keys: list[tuple[float, Pose]] = [
            (-press - hurdle - 0.1, _STRAIGHT | {**behind, "shoulder_plane": 1.3, "shoulder_lift": 1.6, "ankle": 0.7}),
            (-press, {**behind, "knee": 0.45, "hip_lift": 0.4, "spine_bend": 0.1}),
        ]
    else:
        keys = [
            (-press - 0.1, _STRAIGHT | {**behind, "knee": 0.2, "hip_lift": 0.2, "shoulder_lift": 0.6,
                                        "shoulder_plane": 1.3}),
            (-0.75 * press, {**behind, "knee": 0.7, "hip_lift": 0.6}),
        ]  # fmt: skip
    keys += [(-0.5 * press, style.crouch()), (0.0, _STRAIGHT | style.takeoff())]

    quick = 0.16 / style.speed  # seconds to fold or open
    tilts = [(-1.0, 0.0), (0.0, 0.0)]
    start, opened = 0.0, 0.88 * lasts
    if dive.twists:
        # The somersault's rate gives the twists' rate, so more twists take longer; a pike needs its time after them.
        share = min(0.7 if dive.position == "FREE" else 0.46, 0.25 + 0.15 * dive.twists)
        throw, halt = 0.05 * lasts, (0.05 + share) * lasts
        # A forward somersault and a twist to the left need the head tilted left: the left arm stays up (`flight.fly`).
        up = "left" if (side > 0) == dive.forwards else "right"
        keys += [
            (throw, style.takeoff()),
            (throw + quick, style.wrapped(up)),
            (halt, style.wrapped(up)),
            (halt + quick, style.fold("STR") | {"grasp": 0.0}),
        ]
        tilts += [(throw, 0.0), (throw + quick, 1.0), (halt, 1.0), (halt + quick, 0.0)]
        start = halt + quick
    folded = dive.position if dive.position in ("PIKE", "TUCK") else ""
    if folded:
        # Few somersaults are folded late and opened early: divers come with about the same momentum to every dive.
        begin = start + 0.02 if start else (0.1 if dive.somersaults >= 1 else 0.16) * lasts
        until = min(0.8, 0.52 + 0.075 * dive.somersaults) * lasts if dive.somersaults >= 1 else 0.48 * lasts
        until = max(until, begin + quick + 0.1)
        keys += [(begin, {}), (begin + quick, style.fold(folded)), (until, style.fold(folded))]
        opened = min(until + 1.25 * quick, 0.94 * lasts)
        keys.append((opened, _STRAIGHT | style.fold("STR") | {"shoulder_lift": 2.0, "grasp": 0.0}))
    elif not dive.twists:
        keys += [(0.25 * lasts, style.fold("STR")), (0.6 * lasts, style.fold("STR"))]
        opened = 0.6 * lasts
    keys.append((max(0.93 * lasts, opened + 0.05), _STRAIGHT | style.entry(dive.headfirst)))
    keys.append((lasts + 1.0, {}))
    tilts.append((lasts + 1.0, 0.0))

    rows = [_row(keys[0][1])]
    for _, pose in keys[1:]:
        rows.append(_row(pose, rows[-1]))
    poses = PchipInterpolator([at for at, _ in keys], np.stack(rows))
    return poses, PchipInterpolator([at for at, _ in tilts], [share for _, share in tilts])


def _posed(build: Build, rows: Array64) -> Array64:
    """Joints (T, 21, 3) in the body frame of poses (T, D + 1): joint angles inside their limits, hands at the shins."""
    angles, hold = clamp(rows[:, :_GRASP]), np.clip(rows[:, _GRASP], 0, 1)
    still = np.zeros((len(rows), 3))
    if hold.any():
        joints = forward_kinematics(build, angles, still, still).astype(np.float64)
        knees, ankles = joints[:, JOINT["left_knee"] : JOINT["left_ankle"]], joints[:, JOINT["left_ankle"] :][:, :2]
        _, chest, spine = torso(build, angles, still, still)
        # In front of the shins in a tuck, behind the calves in a pike, always on the limb's own outside.
        shins = knees + 0.4 * (ankles - knees)
        outwards = build.shank_radius * np.array([[1.0, 0, 0], [-1.0, 0, 0]])
        targets = (shins + outwards - spine[:, 1, None]) @ chest
        angles = clamp(solve_arms(build, angles, targets, np.repeat(hold[:, None], 2, 1)))
    return forward_kinematics(build, angles, still, still).astype(np.float64)
