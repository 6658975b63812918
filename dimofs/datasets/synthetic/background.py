"""What stands behind people and things: a wall across the view, the ground, and the shadows on it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from dimofs.datasets.synthetic.scene import Scene
from dimofs.datasets.synthetic.texture import Picture

_SUBPIXEL = 4  # fractional bits of the shadows' corners


class Background:
    """The background of a scene, frame by frame."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        light, size = scene.light, scene.camera.size
        gains = light.cast * (light.ambient + 0.6 * light.diffuse)
        table = np.clip(np.arange(256)[:, None] * gains, 0, 255).astype(np.uint8)[None]
        self._wall = cv2.LUT(scene.backdrop, table)
        self._wall_corners, self._frame_corners = _wall_corners(scene)
        if scene.ground is not None:
            self._ground = cv2.LUT(scene.ground, table)
            self._ground_colour = self._ground.mean((0, 1)).round().astype(np.uint8)
            self._centred = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
            self._shadows = _shadows(scene)

    def draw(self, frame: int) -> Picture:
        """The frame without people and things, (H, W, 3)."""
        size = self._scene.camera.size
        matrix = cv2.getAffineTransform(self._wall_corners[frame], self._frame_corners[frame])
        picture = cv2.warpAffine(self._wall, matrix, (size, size), borderMode=cv2.BORDER_REFLECT_101)
        return picture if self._scene.ground is None else self._on_ground(picture, frame)

    def _on_ground(self, picture: Picture, frame: int) -> Picture:
        """The picture of the wall with the ground before it."""
        scene, camera = self._scene, self._scene.camera
        size, focal = camera.size, camera.focal[frame]
        x, height, z = camera.position[frame]
        # A pixel looks along rotationᵀ · (x / f, y / f, 1); where that points down it meets the ground.
        ray = camera.rotation[frame].T * np.array([1 / focal, 1 / focal, 1], np.float32)
        down = -(self._centred * ray[1, 0] + (self._centred * ray[1, 1] + ray[1, 2])[:, None])
        # The ground begins at the foot of the wall; its edge is smooth, and rows above it need no work.
        edge = np.clip((down - height / (z + scene.wall)) * focal + np.float32(0.5), 0, 1)
        rows = np.flatnonzero(edge.max(1))
        if not len(rows):
            return picture
        first = int(rows[0])
        down, edge = down[first:], edge[first:]
        texels = np.float32(len(self._ground) / scene.ground_width)
        to_ground = np.stack(
            [texels * (height * ray[0] - x * ray[1]), texels * (height * ray[2] - z * ray[1]), -ray[1]]
        )
        from_frame = np.array([[1, 0, -(size - 1) / 2], [0, 1, first - (size - 1) / 2], [0, 0, 1]])
        floor = cv2.warpPerspective(
            self._ground, to_ground @ from_frame, (size, size - first),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_WRAP,
        )  # fmt: skip
        # Far off, where a pixel covers many texels, the ground fades into its mean colour.
        detail = np.minimum(np.square(down) * (2 * focal / (height * texels)), np.float32(1))
        floor = cv2.blendLinear(floor, np.broadcast_to(self._ground_colour, floor.shape).copy(), detail, 1 - detail)
        floor = cv2.multiply(floor, cv2.cvtColor(self._shade(frame)[first:], cv2.COLOR_GRAY2BGR), scale=1 / 255)
        picture[first:] = cv2.blendLinear(floor, picture[first:], edge, 1 - edge)
        return picture

    def _shade(self, frame: int) -> Picture:
        """How much light the shadows leave, (H, W), 255 for all of it."""
        size = self._scene.camera.size
        shade = np.full((size, size), 255, np.uint8)
        segments, thickness = (part[frame] for part in self._shadows)
        left = round(255 * (1 - self._scene.light.shadow))
        for (first, last), thick in zip(segments.tolist(), thickness.tolist(), strict=True):
            if thick:
                cv2.line(shade, first, last, left, thick, cv2.LINE_8, _SUBPIXEL)
        return cv2.blur(shade, (3, 3))


def _wall_corners(scene: Scene) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Three points of the wall round the optical axis, (T, 3, 2): on the backdrop and in the frame."""
    camera = scene.camera
    forward = camera.rotation[:, 2]
    reach = (camera.position[:, 2] + scene.wall) / np.maximum(-forward[:, 2], 0.2)
    centre = camera.position + forward * reach[:, None]
    step = 0.2 * scene.wall_width * np.eye(3, dtype=np.float32)
    corners = np.stack([centre, centre + step[0], centre + step[1]], 1)
    texels = len(scene.backdrop)
    middle = camera.position[len(forward) // 2, :2]
    on_wall = (corners[..., :2] - middle) * (1, -1) * (texels / scene.wall_width) + texels / 2
    in_frame = camera.pixels(camera.view(corners.astype(np.float32)))
    return on_wall.astype(np.float32), in_frame.astype(np.float32)


def _shadows(scene: Scene) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The solids' shadows: segments (T, P, 2, 2), fixed-point pixels, and thickness (T, P), 0 where there is none."""
    solids, camera, light = scene.solids, scene.camera, scene.light.direction
    ends = np.stack([solids.start, solids.end], 2)
    cast = ends - ends[..., 1:2] / max(light[1], 0.2) * light
    cast[..., 1] = 0
    viewed = camera.view(cast.astype(np.float32))
    size = camera.size
    pixels = np.clip(camera.pixels(viewed), -4 * size, 5 * size)
    thickness = 1.6 * solids.side.mean(-1) * camera.focal[:, None] / np.maximum(viewed[..., 2].mean(-1), 0.5)
    hidden = (viewed[..., 2] < 0.5).any(-1) | ~solids.present
    thickness = np.where(hidden, 0, np.clip(thickness, 1, size // 6))
    return (pixels * (1 << _SUBPIXEL)).astype(np.int32), thickness.astype(np.int32)
