"""Things that are no people: props of the motions, and distractors that move about as much as people do."""

from dataclasses import dataclass

import numpy as np

from dimofs.datasets.synthetic.body import Solids, thing
from dimofs.datasets.synthetic.motions import Prop
from dimofs.datasets.synthetic.texture import Array

#: Frames a second of every rendered video.
FRAME_RATE = 30


def sway(rng: np.random.Generator, frames: int, slowest: float, fastest: float) -> Array:
    """A smooth random path about 0 with a spread of about 1, (T,): three sines of `slowest`..`fastest` hertz."""
    seconds = np.arange(frames)[:, None] / FRAME_RATE
    rates = np.exp(rng.uniform(np.log(slowest), np.log(fastest), 3))
    waves = np.sin(2 * np.pi * (rates * seconds + rng.uniform(0, 1, 3))) * rng.uniform(0.5, 1, 3)
    return (waves.sum(1) * np.sqrt(2 / 3)).astype(np.float32)


def prop(of: Prop) -> Solids:
    """The solid of a ball or a stick that a motion uses."""
    front = np.broadcast_to(np.array((0.3, 0.2, 0.93), np.float32), of.start.shape)
    end: Array = of.end
    if of.kind == "ball":  # turning as it travels
        turn = np.cumsum(np.linalg.norm(np.diff(of.start, axis=0, prepend=of.start[:1]), axis=-1)) * 4
        end = of.start + 1e-3 * np.stack([np.cos(turn), np.sin(turn), 0 * turn], -1)
    return thing(of.start, end, front, of.radius, of.radius, present=of.present)


@dataclass(frozen=True)
class _Spot:
    """Where a distractor is: it crosses the view or stays about a place."""

    rng: np.random.Generator
    seconds: Array  #: (T,) before and after the middle of the clip
    x: Array  #: (T,) metres, crossing
    z: Array  #: (T,)

    def fixed(self, *vector: float) -> Array:
        """The same vector in every frame, (T, 3)."""
        return np.broadcast_to(np.array(vector, np.float32), (len(self.seconds), 3))

    def stays(self) -> Array:
        """The place on the ground that it would be at in the middle of the clip, (T, 3)."""
        middle = len(self.seconds) // 2
        return self.fixed(self.x[middle], 0, self.z[middle])

    def sway(self, slowest: float, fastest: float) -> Array:
        """A smooth path about 0, (T,)."""
        return sway(self.rng, len(self.seconds), slowest, fastest)


def _ball(spot: _Spot) -> list[Solids]:
    """Rolls or bounces."""
    radius = spot.rng.uniform(0.08, 0.35)
    bounce = spot.rng.uniform(0, 1.0) * np.abs(np.sin(spot.seconds * spot.rng.uniform(2, 6) + spot.rng.uniform(0, 3)))
    centre = np.stack([spot.x, radius + bounce, spot.z], -1)
    turn = -spot.x / radius
    axis = np.stack([np.cos(turn), -np.sin(turn), 0 * turn], -1) * 1e-3
    return [thing(centre - axis, centre + axis, spot.fixed(0, 0, 1), radius, radius)]


def _trolley(spot: _Spot) -> list[Solids]:
    """A box or panel that is pushed along or to and fro."""
    rng = spot.rng
    base = np.stack([spot.x, np.full_like(spot.x, rng.uniform(0, 0.3)), spot.z], -1)
    if rng.random() < 0.5:
        to_and_fro = rng.uniform(0.2, 0.8) * spot.sway(0.2, 1.2)
        base = spot.stays() + np.stack([to_and_fro, base[:, 1], 0 * to_and_fro], -1)
    turn, wide, deep = rng.uniform(0, np.pi), *rng.uniform(0.15, 0.6, 2)
    front = spot.fixed(np.sin(turn), 0, np.cos(turn))
    top = base + spot.fixed(0, rng.uniform(0.3, 1.2), 0)
    return [thing(base, top, front, wide, deep, flat=True)]


def _vehicle(spot: _Spot) -> list[Solids]:
    """A car: body, cabin, two wheels."""
    rng = spot.rng
    long, wide, turn = rng.uniform(1.0, 2.4), rng.uniform(0.6, 0.9), rng.normal(0, 0.3)
    front, along = spot.fixed(np.sin(turn), 0, np.cos(turn)), spot.fixed(np.cos(turn), 0, -np.sin(turn))
    at = np.stack([spot.x, 0 * spot.x, spot.z - rng.uniform(1, 6)], -1)
    sill, belt, roof = (at + spot.fixed(0, height, 0) for height in (0.3, 0.85, 1.35))
    wheels = [at + along * (end * long) + spot.fixed(0, 0.32, 0) + front * wide for end in (-0.6, 0.6)]
    return [
        thing(sill, belt, front, long, wide, flat=True),
        thing(belt, roof, front, (0.6 * long, 0.4 * long), wide, flat=True),
        *(thing(wheel, wheel + spot.fixed(0, 1e-3, 0), front, 0.32, 0.32) for wheel in wheels),
    ]


def _plant(spot: _Spot) -> list[Solids]:
    """Stems or bushes in the wind."""
    rng, root = spot.rng, spot.stays()
    found = []
    for _ in range(rng.integers(2, 6)):
        tilt = rng.normal(0, 0.5) + rng.uniform(0.05, 0.35) * spot.sway(0.4, 2.5)
        turn, long, thick = rng.uniform(0, np.pi), rng.uniform(0.4, 1.6), rng.uniform(0.03, 0.14)
        lean = np.stack([np.sin(tilt) * np.cos(turn), np.cos(tilt), np.sin(tilt) * np.sin(turn)], -1)
        found.append(thing(root, root + long * lean, spot.fixed(0, 0, 1), thick, thick))
    return found


def _swing(spot: _Spot) -> list[Solids]:
    """Hanging rods: like arms and legs, and none."""
    rng = spot.rng
    found = []
    for _ in range(rng.integers(1, 4)):
        hang = spot.stays() + spot.fixed(rng.normal(0, 0.3), rng.uniform(0.7, 2.2), 0)
        angle = rng.uniform(-1, 1) + rng.uniform(0.2, 1.2) * spot.sway(0.3, 1.5)
        turn, long, thick = rng.uniform(0, np.pi), rng.uniform(0.3, 1.0), rng.uniform(0.03, 0.09)
        down = np.stack([np.sin(angle) * np.cos(turn), -np.cos(angle), np.sin(angle) * np.sin(turn)], -1)
        found.append(thing(hang, hang + long * down, spot.fixed(0.3, 0.1, 0.9), (thick, 0.7 * thick), thick))
    return found


def _banner(spot: _Spot) -> list[Solids]:
    """A flag on a pole."""
    rng, foot = spot.rng, spot.stays()
    top = foot + spot.fixed(0, rng.uniform(1.2, 2.8), 0)
    wave, tall, long = 0.4 * spot.sway(0.5, 2.0), rng.uniform(0.3, 0.9), rng.uniform(0.4, 1.2)
    middle = top - spot.fixed(0, tall / 2, 0)
    out = long * np.stack([np.cos(wave), 0.4 * np.sin(wave), 0.3 * np.sin(wave)], -1)
    return [
        thing(foot, top, spot.fixed(0, 0, 1), 0.03, 0.03),
        thing(middle, middle + out, spot.fixed(0, 0, 1), tall / 2, tall / 2, flat=True),
    ]


_KINDS = (_ball, _trolley, _vehicle, _plant, _swing, _banner)


def distractors(rng: np.random.Generator, frames: int, distance: float, half_width: float) -> list[Solids]:
    """None to three things near people at `distance`, where the frame shows `half_width` to either side; metres.

    One in four is nearer than the people and may hide them. Speeds of 0.3 to 3.5 m/s are those of people.
    """
    seconds = ((np.arange(frames) - frames / 2) / FRAME_RATE).astype(np.float32)
    found: list[Solids] = []
    for _ in range(rng.choice(4, p=(0.3, 0.35, 0.25, 0.1))):
        away = distance * rng.uniform(0.75, 1.0) if rng.random() < 0.25 else distance + rng.uniform(0.3, 3)
        speed = rng.choice((-1, 1)) * np.exp(rng.uniform(np.log(0.3), np.log(3.5)))
        x = rng.uniform(-1, 1) * half_width * away / distance + speed * seconds
        spot = _Spot(rng, seconds, x.astype(np.float32), -away + rng.uniform(-1, 1) * seconds)
        found.extend(_KINDS[rng.integers(len(_KINDS))](spot))
    return found
