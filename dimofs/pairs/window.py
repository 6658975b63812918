"""The frames of one video on their way through a backbone: each once, however many pairs need it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dimofs.config import Model
from dimofs.datasets.records import DatasetError, Video
from dimofs.pairs.loading import load_frames

#: From positions in a video to frames (N, 3, H, W) uint8, each one's (height, width) before padding, and the zoom.
Load = Callable[[Sequence[int]], tuple[Tensor, list[tuple[int, int]], float]]


class FeatureWindow:
    """The features of those frames of a video that the pairs to come still need; memory is bounded by the largest δ."""

    def __init__(
        self, encode: Callable[[Tensor], list[Tensor]], video: Video | Load, model: Model, batch_size: int
    ) -> None:
        """Take the backbone as a function of frames (N, 3, H, W) uint8 to features per scale (N, C, H, W).

        video: its files, or how to load frames that are not in files of their own.
        """
        self._encode = encode
        self._load: Load = (lambda frames: load_frames(video, frames, model)) if isinstance(video, Video) else video
        self._name = video.name if isinstance(video, Video) else "video"
        self._batch_size = batch_size
        self._features: dict[int, list[Tensor]] = {}
        self.size = (0, 0)  #: (height, width) of the network's frames, before padding
        self.scale = 1.0  #: zoom from the file's pixels to the network's

    def features(self, frames: Sequence[int]) -> list[Tensor]:
        """Give the features of these frames, per scale (N, C, H, W), computing what is not there yet."""
        missing = sorted(set(frames) - self._features.keys())
        for start in range(0, len(missing), self._batch_size):
            chunk = missing[start : start + self._batch_size]
            images, sizes, self.scale = self._load(chunk)
            self.size = self.size if any(self.size) else sizes[0]
            if set(sizes) != {self.size}:
                raise DatasetError(f"{self._name}: frames {chunk[0]} to {chunk[-1]} differ in size from the others")
            levels = self._encode(images)
            for row, frame in enumerate(chunk):
                self._features[frame] = [level[row : row + 1] for level in levels]
        scales = len(next(iter(self._features.values())))
        # joining, unlike stacking, keeps channels last in memory
        return [torch.cat([self._features[frame][scale] for frame in frames]) for scale in range(scales)]

    def forget(self, first_needed: int) -> None:
        """Drop every frame before `first_needed`."""
        self._features = {frame: levels for frame, levels in self._features.items() if frame >= first_needed}
