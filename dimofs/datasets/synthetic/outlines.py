"""The picture of every solid: its outline in the frame, and the way between pixels and points of its surface."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dimofs.datasets.synthetic.body import cross, unit
from dimofs.datasets.synthetic.scene import Scene
from dimofs.datasets.synthetic.texture import Array

_NEAREST = 0.3  # metres: what comes closer to the camera is not drawn
_ARC = np.linspace(0, np.pi, 9).astype(np.float32)  # corners of a rounded end
_SHRINK = 0.25  # pixels: filled polygons cover their border pixels, which at twice the resolution is a quarter too much


@dataclass(frozen=True)
class Outlines:
    """The picture of P solids in T frames; lengths in pixels of the frame."""

    start: Array  #: (T, P, 2) axis start, x y
    end: Array  #: (T, P, 2) axis end
    width: Array  #: (T, P, 2) half width of the silhouette at start and end
    cap: Array  #: (T, P, 2) length of the rounded ends
    turn: Array  #: (T, P) angle from the solid's front to the side that faces the camera, radians
    depth: Array  #: (T, P) metres, the order of drawing: nearer solids hide farther ones
    drawn: NDArray[np.bool_]  #: (T, P) present, in front of the camera and not outside the frame

    def axes(self) -> tuple[Array, Array]:
        """Unit vectors along the axes (T, P, 2), and the axes' lengths (T, P)."""
        along = self.end - self.start
        length = np.linalg.norm(along, axis=-1)
        straight = length > 1e-3
        along = np.where(
            straight[..., None], along / np.where(straight, length, 1)[..., None], np.array([0, 1], np.float32)
        )
        return along, np.maximum(length, np.float32(1e-3))

    def table(self) -> Array:
        """(T, 10, P): the ten rows that `locate` and `point` need; the last is `turn`."""
        along, length = self.axes()
        first, last = self.width[..., 0], self.width[..., 1]
        cap = np.maximum(self.cap, np.float32(0.1))
        columns = (
            self.start[..., 0], self.start[..., 1], along[..., 0], along[..., 1], length,
            first, last - first, cap[..., 0], cap[..., 1], self.turn,
        )  # fmt: skip
        return np.stack(columns, 1)


def locate(rows: Sequence[Array] | Array, x: Array, y: Array) -> tuple[Array, Array, Array]:
    """Where pixels are on the solids seen there.

    Args:
        rows: (10, N), the rows of `Outlines.table` for the solid of every pixel.
        x, y: (N,) pixels.

    Returns:
        t (N,) along the axis, 0..1; over (N,) round the end, −1..1, 0 off the ends; v (N,) across, −1..1: the sine of
        the angle from the side that faces the camera, positive clockwise of the axis on the screen.
    """
    sx, sy, dx, dy, length, width, growth, cap0, cap1, _ = rows
    x, y = x - sx, y - sy
    forth = x * dx + y * dy
    t = np.clip(forth / length, 0, 1)
    over = forth - t * length
    over = np.clip(over / np.where(over < 0, cap0, cap1), -1, 1)
    return t, over, np.clip((y * dx - x * dy) / (width + growth * t), -1, 1)


def point(rows: Sequence[Array] | Array, t: Array, over: Array, v: Array) -> tuple[Array, Array]:
    """The pixels (x, y), (N,) each, of points of the surface: the inverse of `locate`."""
    sx, sy, dx, dy, length, width, growth, cap0, cap1, _ = rows
    forth = t * length + over * np.where(over < 0, cap0, cap1)
    across = v * (width + growth * t)
    return sx + forth * dx - across * dy, sy + forth * dy + across * dx


def project(scene: Scene) -> Outlines:
    """Outlines of all solids of a scene."""
    solids, camera = scene.solids, scene.camera
    start, end = camera.view(solids.start), camera.view(solids.end)
    front = np.einsum("tij,tpj->tpi", camera.rotation, solids.front)
    centre = (start + end) / 2
    axis = unit(end - start)
    towards = unit(-centre)
    towards = unit(towards - (towards * axis).sum(-1, keepdims=True) * axis)
    front = unit(front - (front * axis).sum(-1, keepdims=True) * axis)
    turn = np.arctan2((towards * cross(axis, front)).sum(-1), (towards * front).sum(-1))
    # The half width of an ellipse seen from that angle.
    half = np.hypot(solids.side * np.cos(turn)[..., None], solids.depth * np.sin(turn)[..., None])
    distance = np.maximum(np.stack([start[..., 2], end[..., 2]], -1), 0.1)
    width = half * camera.focal[:, None, None] / distance
    first, last = camera.pixels(start), camera.pixels(end)
    reach = width.max(-1, keepdims=True) + 1
    outside = (np.maximum(first, last) + reach < 0) | (np.minimum(first, last) - reach > camera.size - 1)
    return Outlines(
        start=first,
        end=last,
        width=width.astype(np.float32),
        cap=(width * solids.cap).astype(np.float32),
        turn=turn.astype(np.float32),
        depth=(centre[..., 2] - solids.bias).astype(np.float32),
        drawn=solids.present & (np.minimum(start[..., 2], end[..., 2]) > _NEAREST) & ~outside.any(-1),
    )


def polygons(shapes: Outlines, square: Array) -> Array:
    """Corners of every outline, (T, P, 18, 2) float32 pixels; `square` (P,) makes the ends squarer where below 1."""
    along, _ = shapes.axes()
    along = along[:, :, None]
    across = np.stack([-along[..., 1], along[..., 0]], -1)
    cosine, sine = np.cos(_ARC), np.sin(_ARC)
    cosine = np.sign(cosine) * np.abs(cosine) ** square[:, None]
    sine = np.abs(sine) ** square[:, None]
    width = np.maximum(shapes.width - _SHRINK, 0.15)[..., None] * cosine[:, None]
    cap = np.maximum(shapes.cap - _SHRINK, 0)[..., None] * sine[:, None]
    foot = shapes.start[:, :, None] - across * width[:, :, 0, :, None] - along * cap[:, :, 0, :, None]
    head = shapes.end[:, :, None] + across * width[:, :, 1, :, None] + along * cap[:, :, 1, :, None]
    return np.concatenate([head, foot], 2)
