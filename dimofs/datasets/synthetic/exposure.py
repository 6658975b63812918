"""What the camera does to the sharp picture: motion blur, optics, noise."""

import cv2
import numpy as np
from numpy.typing import NDArray

from dimofs.datasets.synthetic.outlines import Outlines
from dimofs.datasets.synthetic.scene import Scene
from dimofs.datasets.synthetic.texture import Picture

_SAMPLES = (-0.5, -0.25, 0.25, 0.5)  # moments of the exposure beside its middle, in which the picture is drawn
_ROOM = 64  # pixels by which the window of noise moves about from frame to frame, at most


class Exposure:
    """The sensor of a scene, frame by frame."""

    def __init__(self, scene: Scene, shapes: Outlines, rng: np.random.Generator) -> None:
        size = scene.camera.size
        self._rng, self._blur = rng, scene.sensor.blur
        self._room = min(_ROOM, 4 * len(shapes.depth))
        side = size + self._room
        self._noise = (rng.standard_normal((side, side, 3), np.float32) * scene.sensor.noise).round().astype(np.int16)
        self._x, self._y = np.meshgrid(*2 * [np.arange(size, dtype=np.float32)])
        self._motion = _motion(scene, shapes)

    def expose(self, picture: Picture, frame: int, parts: Picture) -> Picture:
        """What the sensor makes of a sharp picture (H, W, 3) with those parts (H, W) in front."""
        size = len(picture)
        if np.abs(self._motion[frame]).max() > 1:
            # Every pixel averages along its own motion, which is smeared a little so that edges blur to both sides.
            dx, dy = (cv2.blur(cv2.LUT(parts, along), (5, 5)) for along in self._motion[frame])
            total = picture.astype(np.float32)
            for share in _SAMPLES:
                x, y = self._x + share * dx, self._y + share * dy
                cv2.accumulate(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), total)
            picture = cv2.convertScaleAbs(total, alpha=1 / (1 + len(_SAMPLES)))
        if self._blur > 0.25:  # less than that changes nothing
            picture = cv2.GaussianBlur(picture, (5, 5), self._blur)
        top, left = self._rng.integers(0, self._room, 2)
        return cv2.add(picture, self._noise[top : top + size, left : left + size], dtype=cv2.CV_8U)


def _motion(scene: Scene, shapes: Outlines) -> NDArray[np.float32]:
    """Pixels that every value of the map of parts moves while the shutter is open, (T, 2, 256): x and y."""
    camera = scene.camera
    frames, solids = shapes.depth.shape
    found = np.zeros((frames, 2, 256), np.float32)
    if frames == 1:
        return found
    middle = frames // 2
    far = camera.position[middle] + scene.wall * camera.rotation[middle, 2]
    wall = camera.pixels(camera.view(np.broadcast_to(far, (frames, 1, 3))))
    motion = np.gradient(np.concatenate([wall, (shapes.start + shapes.end) / 2], 1), axis=0) * scene.sensor.shutter
    motion[:, 1:][~shapes.drawn] = 0
    found[..., : solids + 1] = np.clip(motion, -camera.size / 8, camera.size / 8).transpose(0, 2, 1)
    return found
