"""The motion fields of pairs of a video, each frame through the backbone once; and of what units they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dimofs.config import Model
from dimofs.datasets.records import Array, Video
from dimofs.model import fields
from dimofs.model.pose_detector import PoseDetector
from dimofs.pairs.loading import zoomed
from dimofs.pairs.window import FeatureWindow, Load
from dimofs.training.loop import encode


@dataclass(frozen=True)
class PairMotion:
    """The motion fields of one pair; what its methods return is in pixels of the file, (dx, dy) from A to B."""

    frame_a: int
    frame_b: int
    fields: list[Tensor]  #: per scale (1, C, 2, H / stride, W / stride), pixels of the network's input
    size: tuple[int, int]  #: (height, width) of the network's frames, before padding
    scale: float  #: zoom from the file's pixels to the network's

    def joint_features(self, points: Array) -> Array:
        """Sample the joint feature at points (P, 2) x y: (P, 4 · C · 2) float32, see `fields.joint_features`."""
        there = torch.from_numpy(zoomed(points, self.scale)).to(self.fields[0])
        return self._numpy(fields.joint_features(self.fields, there[None])[0])

    def read_out(self, coefficients: Tensor) -> Array:
        """Apply a linear read-out at every pixel: (H, W, 2) float32, see `fields.read_out`."""
        return self._numpy(
            self._in_file(fields.read_out(self.fields, coefficients.to(self.fields[0])))[0].movedim(0, 2)
        )

    def saliency(self) -> tuple[Array, Array]:
        """Compute both readings of the saliency (A18), (H, W) float32 each, see `fields.saliency`."""
        of_sum, of_magnitudes = (self._numpy(self._in_file(each[None])[0, 0]) for each in fields.saliency(self.fields))
        return of_sum, of_magnitudes

    def channels(self, chosen: Sequence[int]) -> Array:
        """Give single channels of the finest scale as maps, (len(chosen), H, W, 2) float32."""
        maps = F.interpolate(self.fields[0][0, list(chosen)], scale_factor=4, mode="bilinear", align_corners=False)
        return self._numpy(self._in_file(maps).movedim(1, 3))

    def _in_file(self, maps: Tensor) -> Tensor:
        """Cut the padding from maps (N, D, H', W') of the network's input and bring them to the file's size."""
        maps = maps[..., : self.size[0], : self.size[1]]
        if self.scale == 1:
            return maps
        size = [round(side / self.scale) for side in self.size]
        return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)

    def _numpy(self, displacements: Tensor) -> NDArray[np.float32]:
        return (displacements / self.scale).float().cpu().numpy()


def pair_motions(
    network: PoseDetector, video: Video | Load, pairs: Sequence[tuple[int, int]], model: Model, batch_size: int
) -> Iterator[PairMotion]:
    """Predict the motion fields of pairs (A, B) of one video by a network with offsets, in the order of (A, B).

    video: its files, or how to load frames that are not in files of their own.
    """
    if network.offsets is None:
        raise ValueError("a single-frame detector has no offsets; build it with pairs=True")
    ordered = sorted(set(pairs))
    window = FeatureWindow(partial(encode, network.backbone), video, model, batch_size)
    for start in range(0, len(ordered), batch_size):
        chunk = ordered[start : start + batch_size]
        window.forget(min(min(pair) for pair in ordered[start:]))
        with torch.inference_mode():
            offsets = network.offsets(window.features([a for a, _ in chunk]), window.features([b for _, b in chunk]))
            motion = fields.motion_fields(offsets)
        for row, (a, b) in enumerate(chunk):
            yield PairMotion(a, b, [level[row : row + 1] for level in motion], window.size, window.scale)
