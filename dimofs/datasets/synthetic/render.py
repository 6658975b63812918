"""Draw a scene: solids from far to near into a map of parts, then colour and light for every covered pixel at once.

The map is drawn at twice the frame's resolution and averaged down, so edges are smooth. A pixel of the map knows its
solid, and its place on that solid's surface follows from the outline alone (`outlines.locate`): that gives texture and
shading here and the flow of the surface in `sidecar`.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dimofs.datasets.synthetic import texture
from dimofs.datasets.synthetic.background import Background
from dimofs.datasets.synthetic.body import JOINT_PARTS, PARTS
from dimofs.datasets.synthetic.exposure import Exposure
from dimofs.datasets.synthetic.outlines import Outlines, locate, polygons, project
from dimofs.datasets.synthetic.scene import Scene
from dimofs.datasets.synthetic.texture import Array, Picture

_FINE = 2  # pixels of the map for one of the frame, per side
_SUBPIXEL = 6  # fractional bits of polygon corners


@dataclass(frozen=True)
class Clip:
    """A rendered scene of T frames, M people and P solids."""

    frames: list[Picture]  #: T pictures (H, W, 3), BGR
    parts: Picture  #: (T, H, W): 0 background, k + 1 where solid k is seen
    outlines: Outlines
    corners: Array  #: (T, P, 18, 2) pixels, the outlines as polygons
    joints: Array  #: (T, M, 21, 2) pixels of `skeleton.JOINTS`
    visible: NDArray[np.bool_]  #: (T, M, 21) inside the frame and not hidden


def render(scene: Scene, rng: np.random.Generator) -> Clip:
    """Draw every frame of a scene; `rng` gives the sensor's noise alone."""
    size = scene.camera.size
    shapes = project(scene)
    corners = polygons(shapes, scene.solids.square)
    fixed = np.round(((corners + 0.5) * _FINE - 0.5) * (1 << _SUBPIXEL)).astype(np.int32)
    order = np.argsort(-shapes.depth, axis=1, kind="stable")
    shader, background, exposure = _Shader(scene, shapes), Background(scene), Exposure(scene, shapes, rng)
    joints = np.stack([scene.camera.pixels(scene.camera.view(member.joints)) for member in scene.members], 1)

    frames, parts = [], np.empty((len(fixed), size, size), np.uint8)
    rows, columns = _near(joints, size * _FINE)
    tops = np.empty(rows.shape, np.uint8)  # the parts on top there
    for frame in range(len(fixed)):
        seen = np.zeros((size * _FINE, size * _FINE), np.uint8)
        for solid in order[frame][shapes.drawn[frame, order[frame]]].tolist():
            cv2.fillConvexPoly(seen, fixed[frame, solid], solid + 1, cv2.LINE_8, _SUBPIXEL)
        parts[frame] = seen[::_FINE, ::_FINE]
        tops[frame] = seen[rows[frame], columns[frame]]
        picture = _over(background.draw(frame), shader.layer(frame, seen))
        frames.append(exposure.expose(picture, frame, parts[frame]))
    return Clip(frames, parts, shapes, corners, joints, _visible(joints, tops, size))


class _Shader:
    """Colour and light for the covered pixels of a map of parts."""

    def __init__(self, scene: Scene, shapes: Outlines) -> None:
        self._ambient, self._diffuse = np.float32(scene.light.ambient), np.float32(scene.light.diffuse)
        # The light's share across, along and out of every solid's picture; flat solids take all of it from the front.
        table = shapes.table()
        light = (scene.camera.rotation @ scene.light.direction)[..., None]
        dx, dy = table[:, 2], table[:, 3]
        across, along = light[:, 1] * dx - light[:, 0] * dy, light[:, 0] * dx + light[:, 1] * dy
        relief = scene.solids.relief
        lit = np.stack([across * relief, along * relief, np.broadcast_to(-light[:, 2], dx.shape)], 1)
        # One column a value of the map of parts, so that cv2.LUT, the fastest gather there is, can look it up.
        self._table = np.zeros((len(table), table.shape[1] + 3, 256), np.float32)
        self._table[..., 1 : table.shape[2] + 1] = np.concatenate([table, lit], 1)
        colours = scene.textures.reshape(-1, 3) * scene.light.cast
        self._colours = np.concatenate([colours, np.zeros_like(colours[:, :1])], -1)

    def layer(self, frame: int, seen: Picture) -> Picture:
        """The solids of a frame, (H, W, 4): colours weighted by coverage, and coverage 0..255."""
        fine = len(seen)
        layer = np.zeros(fine * fine, np.uint32)
        covered = cv2.findNonZero(seen)
        if covered is not None:
            column, row = np.ascontiguousarray(covered.reshape(-1, 2).T)
            place = row * fine + column
            x, y = ((axis.astype(np.float32) + 0.5) / _FINE - 0.5 for axis in (column, row))
            layer[place] = self._shade(frame, seen.ravel().take(place), x, y).view(np.uint32)[:, 0]
        size = fine // _FINE
        return cv2.resize(layer.view(np.uint8).reshape(fine, fine, 4), (size, size), interpolation=cv2.INTER_AREA)

    def _shade(self, frame: int, parts: Picture, x: Array, y: Array) -> Picture:
        """Colours (N, 4), the fourth 255, of pixels (N,) where those parts (N,) of the map are seen."""
        *rows, across, along, out = (cv2.LUT(parts, column).ravel() for column in self._table[frame])
        t, over, v = locate(rows, x, y)
        texel = texture.texel(t, over, rows[9] + np.arcsin(v)) + (parts.astype(np.intp) - 1) * texture.TEXELS
        facing = v * across + over * along + np.sqrt(np.maximum(1 - v * v - over * over, 0)) * out
        light = self._ambient + self._diffuse * np.maximum(facing, 0)
        colours = self._colours.take(texel, axis=0) * light[:, None]
        colours[:, 3] = 255
        return cv2.convertScaleAbs(colours)


def _over(picture: Picture, layer: Picture) -> Picture:
    """A picture (H, W, 3) with a layer (H, W, 4) in front of it."""
    through = cv2.cvtColor(255 - layer[..., 3], cv2.COLOR_GRAY2BGR)
    return cv2.add(cv2.multiply(picture, through, scale=1 / 255), cv2.cvtColor(layer, cv2.COLOR_BGRA2BGR))


def _near(joints: Array, fine: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns (T, M, 21, 9) of the 3 × 3 pixels of the map round every joint, those outside at its edge."""
    place = np.round((joints + 0.5) * _FINE - 0.5)
    offsets = np.array([(x, y) for y in (-1, 0, 1) for x in (-1, 0, 1)])
    near = np.clip(place[..., None, :] + offsets, 0, fine - 1).astype(np.intp)
    return near[..., 1], near[..., 0]


def _visible(joints: Array, tops: Picture, size: int) -> NDArray[np.bool_]:
    """Which joints (T, M, 21, 2) are inside the frame with parts that they belong to on top of three of nine pixels."""
    inside = ((joints > -0.5) & (joints < size - 0.5)).all(-1)
    member, part = np.divmod(tops.astype(np.intp) - 1, len(PARTS))
    own = member == np.arange(joints.shape[1])[:, None, None]
    belongs = JOINT_PARTS[np.arange(joints.shape[2])[:, None], np.where(own, part, 0)]
    return inside & ((own & belongs).sum(-1) >= 3)
