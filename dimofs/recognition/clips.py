"""Frames of whole videos in memory, and what the rivals of Table 4 draw from them (§6.3)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from dimofs.config import Augmentation, Rivals
from dimofs.datasets.corpus import Action
from dimofs.datasets.diving48 import Dive, decode
from dimofs.flow import farneback
from dimofs.io import read_ahead
from dimofs.model.video_networks import NO_MOTION
from dimofs.pairs.loading import Batch, Change
from dimofs.pairs.sampling import Draw

Images = NDArray[np.uint8]

#: Displacement in pixels that the range of 8 bits ends at on either side; faster motion is cut off there.
LARGEST_FLOW = 16

#: No motion in 8 bits.
NO_FLOW = round(255 * NO_MOTION)


@dataclass(frozen=True)
class HeldVideo:
    """A labelled video in memory."""

    name: str
    label: int
    images: Images  #: (T, S, S, C): frames, or fields of flow from one frame to the next


@dataclass(frozen=True)
class Sampling:
    """Which images of a video a network sees at once."""

    images: int  #: how many
    stacked: int  #: consecutive ones that are joined to one
    stride: int | None  #: from one to the next; None: one of each of as many equal parts of the video

    def positions(self, length: int, places: NDArray[np.float64]) -> NDArray[np.int64]:
        """Give positions (images, stacked) in a video of `length` images.

        places: (images,) in [0, 1): where in each part the image lies, or in its first value where among all
        possible ones the clip starts. A video that is too short repeats its last image.
        """
        room = max(length - self.stacked + 1, 1)
        order = np.arange(self.images)
        if self.stride is None:
            starts = np.floor((order + places) * room / self.images)
        else:
            span = (self.images - 1) * self.stride
            starts = np.floor(places[0] * max(room - span, 1)) + order * self.stride
        positions = starts.astype(np.int64)[:, None] + np.arange(self.stacked)
        return np.minimum(positions, length - 1)

    def views(self, length: int, count: int) -> list[NDArray[np.int64]]:
        """Give the positions of `count` views of a video, evenly over the possible ones."""
        return [self.positions(length, np.full(self.images, (view + 0.5) / count)) for view in range(count)]


def hold(video: Dive | Action, rivals: Rivals) -> HeldVideo:
    """Hold every n-th frame of a video, with the largest n that leaves `rivals.frames`: of each the middle square.

    So the time from one to the next is always the same. Raises DatasetError where the video cannot be decoded.
    """
    every = range(0, video.frames, max(1, video.frames // rivals.frames))
    images = np.stack([_middle(frame, rivals) for frame in decode(video.path, video.frames, every)])
    return HeldVideo(video.name, video.label, images)


def _middle(frame: Images, rivals: Rivals) -> Images:
    height, width = frame.shape[:2]
    side = round(min(height, width) * rivals.crop)
    top, left = (height - side) // 2, (width - side) // 2
    square = frame[top : top + side, left : left + side]
    return np.asarray(cv2.resize(square, (rivals.frame_size,) * 2, interpolation=cv2.INTER_AREA), np.uint8)


def as_flow(video: HeldVideo) -> HeldVideo:
    """From frames to the flow of each to the next, (T − 1, S, S, 2) in 8 bits; NO_FLOW is no motion (TSN)."""
    pairs = zip(video.images, video.images[1:], strict=False)
    steps = np.stack([farneback(first, second, "opencv") for first, second in pairs])
    coded = np.rint(steps * ((NO_FLOW - 1) / LARGEST_FLOW)) + NO_FLOW
    return HeldVideo(video.name, video.label, np.clip(coded, 0, 255).astype(np.uint8))


def hold_all(videos: Sequence[Dive | Action], rivals: Rivals, *, flow: bool) -> list[HeldVideo]:
    """Hold the frames of videos, or the flow from each to the next."""
    held = read_ahead(partial(hold, rivals=rivals), videos)
    progress = tqdm(held, total=len(videos), desc="videos", unit="video", dynamic_ncols=True)
    return [as_flow(video) if flow else video for video in progress]


def clip(images: Images, positions: NDArray[np.int64]) -> Images:
    """Gather (images, stacked·C, S, S) of images (T, S, S, C)."""
    taken = images[positions]
    count, stacked, height, width, channels = taken.shape
    return np.ascontiguousarray(taken.transpose(0, 1, 4, 2, 3)).reshape(count, stacked * channels, height, width)


class ClipLoader:
    """Training batches of videos, one random set of images and one random change for each; in any range of steps.

    A pass visits every video once, in a fresh order. All of it is a function of seed and position in the stream, as in
    `dimofs.pairs.sampling`, so rivals with one seed see the same videos in the same order.
    """

    def __init__(self, videos: Sequence[HeldVideo], sampling: Sampling, augmentation: Augmentation, seed: int) -> None:
        """Take the videos, what to draw of each, and the random changes."""
        self._videos = videos
        self._sampling = sampling
        self._augmentation = augmentation
        self._seed = seed

    def batches(self, batch_size: int, first: int, last: int) -> Iterator[Batch]:
        """Give the batches of steps `first`, …, `last` − 1: `frames` are T tensors (N, C, S, S) uint8."""
        for step in range(first, last):
            rows = [self._draw(step * batch_size + slot) for slot in range(batch_size)]
            stack = torch.from_numpy(np.stack([images for images, _, _ in rows], axis=1))
            targets = [{"label": torch.tensor(video.label)} for _, video, _ in rows]
            sizes = [video.images.shape[1:3] for _, video, _ in rows]
            yield Batch(tuple(stack), sizes, targets, [draw for _, _, draw in rows])

    def _draw(self, position: int) -> tuple[Images, HeldVideo, Draw]:
        epoch, place = divmod(position, len(self._videos))
        row = np.random.default_rng((self._seed, 0, epoch)).permutation(len(self._videos))[place]
        rng = np.random.default_rng((self._seed, 1, position))
        video = self._videos[row]
        length, height, width, channels = video.images.shape
        positions = self._sampling.positions(length, rng.random(self._sampling.images))
        change = Change.draw(self._augmentation, height, width, np.zeros((0, 2), np.float32), rng)
        used = np.unique(positions)
        changed = partial(change.image, size=(height, width)) if channels == 3 else partial(change_flow, change)
        moved = np.stack([changed(image) for image in video.images[used]])
        first, last = int(positions.min()), int(positions.max())
        draw = Draw(position, video.name, first, last, last - first)
        return clip(moved, np.searchsorted(used, positions)), video, draw


def change_flow(change: Change, field: Images) -> Images:
    """Apply the geometry of a change to a field of flow (S, S, 2) uint8; brightness means nothing there."""
    height, width = field.shape[:2]
    border = [NO_FLOW, NO_FLOW]
    moved = cv2.warpAffine(field, change.matrix, (width, height), borderMode=cv2.BORDER_CONSTANT, borderValue=border)
    if change.flip:
        moved = moved[:, ::-1].copy()
        moved[..., 0] = np.minimum(2 * NO_FLOW - moved[..., 0].astype(np.int16), 255)
    return np.asarray(moved, np.uint8)
