"""From pairs to tensors: reading, resizing and augmentation, identical for Frame A and Frame B (A10)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dimofs.config import Augmentation, Model
from dimofs.datasets.records import DatasetError, Frame, Image, Video
from dimofs.io import read_together
from dimofs.pairs.sampling import Draw

#: Points (…, 2) x y, as an array or as a tensor.
Points = TypeVar("Points", NDArray[Any], Tensor)

#: Boxes made from joints are enlarged by this factor about their centre (facts of §3.4: Detect-and-Track).
JOINT_BOX_SCALE = 1.2

#: Random changes of colour and geometry fill what comes into view with this grey.
FILL = 114


@dataclass(frozen=True)
class Batch:
    """Frames with the labels of Frame A.

    frames: Frame A first, then the frames that the network sees beside it (Frame B, say); each (N, 3, H, W) uint8 RGB,
    padded to multiples of 32 at the right and bottom.
    sizes: (height, width) of each frame before padding.
    targets: per frame `boxes` (P, 4) float32 x1 y1 x2 y2, `labels` (P,) int64, and where the data set has PoseTrack's
    joints `keypoints` (P, 17, 3) float32 x y visible.
    """

    frames: tuple[Tensor, ...]
    sizes: list[tuple[int, int]]
    targets: list[dict[str, Tensor]]
    draws: list[Draw]

    def pin_memory(self) -> "Batch":
        """Copy the tensors to memory that a GPU reads by itself, while others compute."""
        frames = tuple(frame.pin_memory() for frame in self.frames)
        targets = [{name: value.pin_memory() for name, value in target.items()} for target in self.targets]
        return replace(self, frames=frames, targets=targets)


def read_frame(frame: Frame) -> Image:
    """Decode a frame to (H, W, 3) uint8 RGB."""
    image = cv2.imread(str(frame.path), cv2.IMREAD_COLOR)
    if image is None:
        raise DatasetError(f"{frame.path}: cannot be read as an image; unpack or render the data set again")
    return np.ascontiguousarray(image[:, :, ::-1])


def network_scale(image: Image, model: Model, short_side: int | None = None) -> float:
    """Zoom that brings a frame's short side to `short_side` without its long side passing `image_max_size`.

    Without `short_side` it is the model's `image_size`.
    """
    height, width = image.shape[:2]
    return min((short_side or model.image_size) / min(height, width), model.image_max_size / max(height, width))


def resize(image: Image, scale: float) -> Image:
    """Zoom a frame bilinearly; at scale 1 it is returned as it is."""
    return image if scale == 1 else np.asarray(cv2.resize(image, None, fx=scale, fy=scale), dtype=np.uint8)


def zoomed(points: Points, scale: float) -> Points:
    """Bring points (…, 2) of x, y, whole numbers in the middle of pixels, to the frame that `resize` gives."""
    return (points + 0.5) * scale - 0.5


def as_tensor(images: Sequence[Image]) -> Tensor:
    """Stack frames (H, W, 3) to (N, 3, H', W') uint8, padded at the right and bottom to multiples of 32."""
    height, width = (32 * -(-max(image.shape[axis] for image in images) // 32) for axis in (0, 1))
    stack = np.zeros((len(images), height, width, 3), np.uint8)
    for row, image in zip(stack, images, strict=True):
        row[: image.shape[0], : image.shape[1]] = image
    return torch.from_numpy(stack).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True)
class Change:
    """One random change of a frame: a geometric map, a flip, and a change of brightness and contrast.

    Its pixels are those of what comes out: the whole frame, or the window that the augmentation cuts from it.
    """

    matrix: NDArray[np.float64]  #: (2, 3), pixels to pixels
    flip: bool
    gain: float
    bias: float

    @staticmethod
    def draw(
        augmentation: Augmentation, height: int, width: int, people: NDArray[np.float32], rng: np.random.Generator
    ) -> "Change":
        """Draw a change for frames of the given size.

        people: (P, 2) the middles of Frame A's people. A window has one of them in its middle, or any other place of
        the frame as if that were one person more, before it is shifted; it does not leave the frame.
        """
        scale = np.exp(rng.uniform(np.log(augmentation.min_scale), np.log(augmentation.max_scale)))
        shift = rng.uniform(-augmentation.shift, augmentation.shift, 2)
        gain = 1 + rng.uniform(-augmentation.brightness, augmentation.brightness)
        bias = 255 * rng.uniform(-augmentation.brightness, augmentation.brightness) / 2
        flip = bool(rng.random() < augmentation.flip)
        size = np.array([width, height])
        if augmentation.window is None:
            centre = (size - 1) / 2
            moved = centre * (1 - scale) + shift * size
        else:
            places = np.concatenate([people, [rng.uniform(0, size)]])
            window = augmentation.window
            moved = (window - 1) / 2 - scale * rng.choice(places) + shift * window
            moved = moved.clip(np.minimum(window - scale * size, 0), 0)
        return Change(np.column_stack([np.eye(2) * scale, moved]), flip, float(gain), float(bias))

    def image(self, image: Image, size: tuple[int, int]) -> Image:
        """Apply the change to (H, W, 3) uint8; gives the given (height, width)."""
        height, width = size
        moved = cv2.warpAffine(
            image, self.matrix, (width, height), borderMode=cv2.BORDER_CONSTANT, borderValue=[FILL] * 3
        )
        values = np.clip(np.rint(self.gain * np.arange(256) + self.bias), 0, 255).astype(np.uint8)
        moved = cv2.LUT(moved, values)
        return np.ascontiguousarray(moved[:, ::-1] if self.flip else moved)

    def points(self, points: NDArray[np.float32], width: int) -> NDArray[np.float32]:
        """Apply the change to points (…, 2) of x, y."""
        moved = points @ self.matrix[:, :2].T + self.matrix[:, 2]
        if self.flip:
            moved[..., 0] = width - 1 - moved[..., 0]
        return moved.astype(np.float32)


def middles(frame: Frame) -> NDArray[np.float32]:
    """Give the middles (P, 2) of the boxes of those people of a frame who have one."""
    boxes = np.array([person.box for person in frame.people], np.float32).reshape(-1, 2, 2)
    found = boxes.mean(axis=1, dtype=np.float32)
    return np.asarray(found[np.isfinite(found).all(1)], np.float32)


def mirrored(names: Sequence[str]) -> list[int]:
    """Give for every joint the index of its left-right partner (itself for a joint of the middle)."""
    swap = {"left": "right", "right": "left"}
    partners = []
    for name in names:
        side, _, rest = name.partition("_")
        partners.append(names.index(f"{swap[side]}_{rest}") if side in swap else names.index(name))
    return partners


def pose_target(
    video: Video, frame: int, scale: float, change: Change | None, size: tuple[int, int]
) -> dict[str, Tensor]:
    """Make Frame A's pose labels: the people with at least one labelled joint inside the frame.

    A box is the extent of the labelled joints, enlarged 1.2 times and cut at the frame (facts of §3.4).
    """
    height, width = size
    people = video.frames[frame].people
    joints = (
        zoomed(np.stack([person.joints for person in people]), scale)
        if people
        else np.zeros((0, len(video.joint_names), 2))
    )
    labelled = np.stack([person.labelled for person in people]) if people else np.zeros(joints.shape[:2], bool)
    if change is not None:
        joints = change.points(joints.astype(np.float32), width)
        if change.flip:
            partners = mirrored(video.joint_names)
            joints, labelled = joints[:, partners], labelled[:, partners]
    labelled = labelled & (joints >= 0).all(-1) & (joints[..., 0] <= width - 1) & (joints[..., 1] <= height - 1)
    kept = labelled.any(1)
    joints, labelled = joints[kept], labelled[kept]
    low = np.where(labelled[..., None], joints, np.inf).min(1)
    high = np.where(labelled[..., None], joints, -np.inf).max(1)
    margin = (JOINT_BOX_SCALE - 1) / 2 * (high - low) + 1
    boxes = np.concatenate([low - margin, high + margin], 1).clip(0, [width, height, width, height])
    keypoints = np.concatenate([np.where(labelled[..., None], joints, 0), labelled[..., None]], -1)
    return {
        "boxes": torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.ones(len(boxes), dtype=torch.int64),
        "keypoints": torch.as_tensor(keypoints, dtype=torch.float32),
    }


def action_target(
    video: Video, frame: int, scale: float, change: Change | None, size: tuple[int, int]
) -> dict[str, Tensor]:
    """Make Frame A's action labels: each person's box, with the clip's class (1 + index; 0 is the background)."""
    if video.label is None:
        raise DatasetError(f"{video.name}: has no action label; action training needs JHMDB's layout")
    boxes, kept = moved_boxes([person.box for person in video.frames[frame].people], scale, change, size)
    return {
        "boxes": torch.from_numpy(boxes),
        "labels": torch.full((int(kept.sum()),), 1 + video.label, dtype=torch.int64),
    }


def moved_boxes(
    boxes: Sequence[NDArray[np.float32]], scale: float, change: Change | None, size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Bring boxes (P, 4) of the file to the network's pixels and through the change; clip them to (height, width).

    Returns those that more than a pixel is left of, and which ones (P,) these are.
    """
    height, width = size
    corners = np.array(boxes, np.float32).reshape(-1, 2, 2) * scale
    if change is not None:
        corners = np.sort(change.points(corners, width + 1), axis=1)
    moved = corners.reshape(-1, 4).clip(0, [width, height, width, height])
    kept = (moved[:, 2] > moved[:, 0] + 1) & (moved[:, 3] > moved[:, 1] + 1)
    return moved[kept], kept


#: From (video, frame, zoom, change, (height, width)) to the targets of one frame.
Target = Callable[[Video, int, float, Change | None, tuple[int, int]], dict[str, Tensor]]


def second_frame(draw: Draw, length: int) -> list[int]:
    """Frame B beside Frame A: what a network of pairs sees."""
    return [draw.frame_b]


def neighbours(draw: Draw, length: int) -> list[int]:
    """The frames before and after Frame A, clamped to the clip: what the inflated 3-D baseline sees (A30)."""
    return [max(draw.frame_a - 1, 0), min(draw.frame_a + 1, length - 1)]


def nothing(draw: Draw, length: int) -> list[int]:
    """No frame beside Frame A: the single-frame baseline."""
    return []


def read_files(video: Video, positions: Sequence[int]) -> list[Image]:
    """Read frames of a video whose frames are files of their own."""
    return [read_frame(video.frames[position]) for position in positions]


class Sampler(Protocol):
    """Anything that gives the draw at a position (0, 1, 2, …) of a stream, a function of that position alone."""

    def draw(self, position: int) -> Draw:
        """Give the draw."""
        ...


class PairLoader:
    """Training batches from a pair sampler, in the stream's order from any step on."""

    def __init__(
        self,
        videos: Sequence[Video],
        sampler: Sampler,
        model: Model,
        augmentation: Augmentation,
        *,
        target: Target,
        beside: Callable[[Draw, int], list[int]],
        seed: int,
        read: Callable[[Video, Sequence[int]], list[Image]] = read_files,
    ) -> None:
        """Take the videos, the stream of pairs, what to make of Frame A's labels and which frames to load beside it.

        read: gives frames of a video by their positions.
        """
        self._videos: Mapping[str, Video] = {video.name: video for video in videos}
        self._sampler = sampler
        self._model = model
        self._augmentation = augmentation
        self._target = target
        self._beside = beside
        self._seed = seed
        self._read = read

    def batches(self, batch_size: int, first: int, last: int) -> Iterator[Batch]:
        """Give the batches of steps `first`, …, `last` − 1."""
        for step in range(first, last):
            yield self.batch([self._sampler.draw(step * batch_size + slot) for slot in range(batch_size)])

    def batch(self, draws: Sequence[Draw]) -> Batch:
        """Load one batch: all frames of a draw under the same random change."""
        frames, sizes, targets = [], [], []
        for draw, images in zip(draws, read_together(self._images, draws), strict=True):
            video = self._videos[draw.video]
            scale = network_scale(images[0], self._model, self._short_side(draw))
            images = [resize(image, scale) for image in images]
            height, width = images[0].shape[:2]
            rng = np.random.default_rng((self._seed, 2, draw.position))
            people = middles(video.frames[draw.frame_a]) * np.float32(scale)
            change = Change.draw(self._augmentation, height, width, people, rng)
            window = self._augmentation.window
            size = (height, width) if window is None else (window, window)
            frames.append([change.image(image, size) for image in images])
            sizes.append(size)
            targets.append(self._target(video, draw.frame_a, scale, change, size))
        columns = tuple(as_tensor(column) for column in zip(*frames, strict=True))
        return Batch(columns, sizes, targets, list(draws))

    def _images(self, draw: Draw) -> list[Image]:
        video = self._videos[draw.video]
        return self._read(video, [draw.frame_a, *self._beside(draw, len(video.frames))])

    def _short_side(self, draw: Draw) -> int | None:
        """Draw the short side of an example's frames (facts of §3.4: Detect-and-Track's multi-scale training)."""
        sides = self._augmentation.short_sides
        return sides[np.random.default_rng((self._seed, 3, draw.position)).integers(len(sides))] if sides else None


def load_frames(video: Video, positions: Sequence[int], model: Model) -> tuple[Tensor, list[tuple[int, int]], float]:
    """Load frames of one video for inference; returns what `network_frames` does."""
    return network_frames(read_together(read_frame, [video.frames[position] for position in positions]), model)


def network_frames(images: Sequence[Image], model: Model) -> tuple[Tensor, list[tuple[int, int]], float]:
    """Bring frames (H, W, 3) of one video to the network's size.

    Returns (N, 3, H, W) uint8 RGB padded to multiples of 32, each frame's (height, width) before padding, and the zoom
    from the file's pixels to the network's.
    """
    scale = network_scale(images[0], model)
    images = [resize(image, scale) for image in images]
    return as_tensor(images), [image.shape[:2] for image in images], scale
