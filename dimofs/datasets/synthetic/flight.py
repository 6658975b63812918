"""How a body turns in the air: masses, moments of inertia, and angular momentum that stays what it was at take-off.

Frames of reference: the *body frame* is that of the pelvis (x left, y up, z to the front). In the *dive frame* y is up
and x is the axis of the somersault, about which the angular momentum lies. The orientation of the pelvis is
Rx(somersault) · Rz(tilt) · Ry(twist): the long axis tilts out of the somersault's plane, and the body turns about it.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.integrate import cumulative_trapezoid

from dimofs.datasets.synthetic.skeleton import JOINT, Array64, Build, rotation, unit

#: Segments: joints at their ends, share of the body's mass (Dempster's, in round figures), radius in a `Build`.
_TRUNK = (
    ("head_bottom", "head_top", 0.07, "head_radius"),
    ("belly", "head_bottom", 0.26, "chest_radius"),
    ("pelvis", "belly", 0.174, "hip_radius"),
)
_LIMBS = (
    ("shoulder", "elbow", 0.027, "upper_arm_radius"),
    ("elbow", "wrist", 0.016, "forearm_radius"),
    ("wrist", "hand", 0.006, "hand_radius"),
    ("hip", "knee", 0.142, "thigh_radius"),
    ("knee", "ankle", 0.043, "shank_radius"),
    ("ankle", "toe", 0.014, "foot_radius"),
)
_SEGMENTS = _TRUNK + tuple(
    (f"{side}_{first}", f"{side}_{last}", share, radius)
    for first, last, share, radius in _LIMBS
    for side in ("left", "right")
)
_ENDS = np.array([[JOINT[first], JOINT[last]] for first, last, _, _ in _SEGMENTS])
_SHARES = np.array([share for _, _, share, _ in _SEGMENTS])
_ROD = np.array([1, 4, 1]) / 6  # weights of start, middle and end that give a rod its exact moments
_BODY_MASS_INDEX = 22.0  # kg/m²
_ROUNDS = 30  # of the search for the momentum; some are enough
_CLOSE = 1e-4  # radians


def centre_of_mass(positions: Array64) -> Array64:
    """Centre of mass (T, 3) of joints (T, 21, 3), in their frame."""
    return np.einsum("s,tsij,i->tj", _SHARES, positions[:, _ENDS], np.array([0.5, 0.5]))


def moments(positions: Array64, build: Build, interval: float) -> tuple[Array64, Array64]:
    """Inertia and inner angular momentum of a body that changes its pose.

    Args:
        positions: (T, 21, 3) joints in the body frame, metres.
        build: the person.
        interval: seconds between frames.

    Returns:
        Inertia (T, 3, 3) about the centre of mass, kg·m²; angular momentum (T, 3) of the limbs' motion as seen in the
        body frame, kg·m²/s.
    """
    mass = _BODY_MASS_INDEX * build.height**2
    ends = positions[:, _ENDS] - centre_of_mass(positions)[:, None, None]
    points = np.stack([ends[:, :, 0], ends.mean(2), ends[:, :, 1]], 2)  # (T, S, 3 points, 3)
    weights = mass * _SHARES[:, None] * _ROD
    speed = np.gradient(points, interval, axis=0)
    spread = np.einsum("sp,tspi,tspj->tij", weights, points, points)
    inertia = np.trace(spread, axis1=1, axis2=2)[:, None, None] * np.eye(3) - spread
    # A segment is round, too: m r²/4 across its axis and twice that about it.
    along = unit(ends[:, :, 1] - ends[:, :, 0])
    thick = mass * _SHARES * np.array([getattr(build, radius) for *_, radius in _SEGMENTS]) ** 2 / 4
    inertia += thick.sum() * np.eye(3) + np.einsum("s,tsi,tsj->tij", thick, along, along)
    return inertia, np.einsum("sp,tspi->ti", weights, np.cross(points, speed))


@dataclass(frozen=True)
class Flight:
    """Orientation over a flight, radians and the dive frame; and what it was solved for."""

    somersault: Array64  #: (T,) about the horizontal axis across the dive, positive: forwards for who faces +z
    tilt: Array64  #: (T,) of the long axis out of the somersault's plane
    twist: Array64  #: (T,) about the long axis, positive: to the left
    momentum: float  #: kg·m²/s about the axis of the somersault
    rate: float  #: of the somersault at take-off, radians a second

    def orientation(self) -> Array64:
        """Rotations (T, 3, 3), body frame to dive frame."""
        return oriented(self.somersault, self.tilt, self.twist)


def oriented(somersault: Array64, tilt: Array64, twist: Array64) -> Array64:
    """Rotations (T, 3, 3) = Rx(somersault) · Rz(tilt) · Ry(twist)."""
    zero = np.zeros_like(twist)
    return rotation(somersault, zero, -tilt) @ rotation(zero, twist, zero)


def fly(
    positions: Array64,
    build: Build,
    interval: float,
    *,
    start: float,
    lean: float,
    somersault: float,
    twist: float,
    tilting: Array64,
) -> Flight:
    """Find the angular momentum, and the tilt, with which a dive comes out.

    The somersault's rate and the twist's follow from the conservation of angular momentum about the somersault's axis
    and about the body's long axis, with the inertia of the pose at that instant. The tilt is what the arms make of it:
    a diver who tilts twists, in proportion to the somersault, until the arms take the tilt back.

    Args:
        positions: (T, 21, 3) joints in the body frame from take-off to entry, metres.
        build: the person.
        interval: seconds between frames.
        start: somersault at take-off as far as the pose decides it (who stands is balanced), radians.
        lean: seconds during which the rotation builds up on the board; it adds half of that at the final rate.
        somersault: what it has to be at entry, signed, radians.
        twist: what it has to be at entry, signed, radians; 0 needs no tilt.
        tilting: (T,) course of the tilt, 0 to 1.
    """
    inertia, inner = moments(positions, build, interval)
    momentum = somersault * inertia[:, 0, 0].mean() / (interval * len(positions))
    tilt = -0.1 * np.sign(momentum * twist)
    for _ in range(_ROUNDS):
        rates, turned, stiffness = _turning(inertia, inner, momentum, tilt * tilting, interval)
        course = start + lean * rates[0] / 2 + cumulative_trapezoid(rates, dx=interval, initial=0)
        missing = somersault - course[-1]
        if abs(missing) < _CLOSE and (twist == 0 or abs(twist - turned[-1]) < _CLOSE):
            return Flight(course, tilt * tilting, turned, float(momentum), float(rates[0]))
        gained = missing / (np.trapezoid(1 / stiffness, dx=interval) + lean / 2 / stiffness[0])
        if twist:  # in proportion to momentum and tilt, by and large
            factor = twist / turned[-1] / (1 + gained / momentum) if turned[-1] * twist > 0 else 1.5
            tilt *= np.clip(factor, 0.6, 1.6)
        momentum += gained
    raise RuntimeError(f"no momentum gives {somersault:.2f} and {twist:.2f} radians within {_ROUNDS} rounds")


def _turning(
    inertia: Array64, inner: Array64, momentum: float, tilt: Array64, interval: float
) -> tuple[Array64, Array64, Array64]:
    """Rate of the somersault (T,), twist (T,), and inertia (T,) about the momentum's axis, for a momentum and a tilt.

    Two components of the angular momentum, about its own axis and about the body's long axis, give the two rates at
    every instant; the twist decides how the body lies in the next one, so the steps are taken one after the other.
    Without a tilt the pose is the same on both sides, the second component is zero, and there is no twist.
    """
    frames = len(tilt)
    rates, turned, stiffness = np.zeros(frames), np.zeros(frames), np.zeros(frames)
    cosines, sines = np.cos(tilt).tolist(), np.sin(tilt).tolist()
    leaning = np.gradient(tilt, interval).tolist()
    moment, own = inertia.tolist(), inner.tolist()
    twist = 0.0
    for step in range(frames):
        (xx, xy, xz), (_, yy, yz), (_, _, zz) = moment[step]
        hx, hy, hz = own[step]
        c, s = math.cos(twist), math.sin(twist)
        # The momentum's axis, and the tilt's times its rate, seen from the body.
        u, v, w = cosines[step] * c, -sines[step], cosines[step] * s
        p, q = -s * leaning[step], c * leaning[step]
        mx, my, mz = xx * u + xy * v + xz * w, xy * u + yy * v + yz * w, xz * u + yz * v + zz * w
        about = u * mx + v * my + w * mz
        first = momentum - (u * hx + v * hy + w * hz) - (mx * p + mz * q)
        turned[step], stiffness[step] = twist, about
        if v == 0:
            rates[step] = first / about
            continue
        second = momentum * v - hy - (xy * p + yz * q)
        determinant = about * yy - my * my
        rates[step] = (first * yy - second * my) / determinant
        twist += (second * about - first * my) / determinant * interval
    return rates, turned, stiffness
