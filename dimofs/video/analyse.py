"""People, tracks and motion features, frame after frame, in memory that does not grow with the video (§4, §5).

Frames are taken in batches that begin at multiples of BATCH whatever came before, so that a run which goes on in the
middle computes what a run from the beginning does. A frame passes the backbone once, however many δ are asked for;
people are found and tracked at δ = 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dimofs.config import Linker, Model
from dimofs.datasets.records import POSETRACK_JOINTS, Array, DatasetError
from dimofs.model.fields import joint_features, motion_fields
from dimofs.model.pose_detector import PoseDetector
from dimofs.pairs.loading import network_frames, zoomed
from dimofs.pairs.window import FeatureWindow
from dimofs.pose.pretrain import detector_of
from dimofs.tracking.link import Tracker, exported_joints
from dimofs.training.loop import device, encode
from dimofs.video.read import Picture, open_footage

#: Frames a forward pass.
BATCH = 4

#: The features of so many frames are held, so δ is bounded.
_LARGEST_DELTA = 100

#: Smallest and largest long side of the network's frames, pixels.
_SIZES = (64, 4096)

#: Time gaps by default: the paper's (§5.2).
DELTAS = (5,)

#: Least box score of a person by default.
SCORE = 0.5

#: How people are linked to tracks: by their poses, over gaps of five frames.
LINKER = Linker(cost="oks", memory=5, max_cost=0.9)


@dataclass(frozen=True)
class TrackedPerson:
    """One person in one frame; coordinates in pixels of the video."""

    track: int  #: from 0, the same in every frame
    score: float  #: of the box, 0 to 1
    box: Array  #: (4,) x1 y1 x2 y2
    joints: (
        Array  #: (17, 2) x y in PoseTrack18's order; head_bottom is the shoulders' midpoint (A21), ears mean nothing
    )
    joint_scores: Array  #: (17,) logits
    features: dict[int, Array]  #: by δ: (17, 8C), see `dimofs.model.fields.joint_features`, in pixels of the video


@dataclass(frozen=True)
class AnalysedFrame:
    """One frame of a video with what the network makes of it."""

    picture: Picture
    people: tuple[TrackedPerson, ...]
    frames_b: dict[int, int]  #: by δ: the position of Frame B, which is clamped at the ends of the video (A9)
    offsets: dict[int, list[Tensor]]  #: by δ: per scale (2C, H, W), see `dimofs.model.offsets.Offsets`
    zoom: float  #: from pixels of the video to pixels of the network's frame
    size: tuple[int, int]  #: (height, width) of the network's frame before padding


def analyse(
    source: str | Path,
    checkpoint: str | Path,
    *,
    deltas: Sequence[int] = DELTAS,
    score: float = SCORE,
    size: int | None = None,
) -> Iterator[AnalysedFrame]:
    """Find, track and describe the people of a video, frame after frame.

    source: a file, an address, a folder of images or a camera's number. checkpoint: a DiMoFs network. deltas: gaps in
    frames from a frame (A) to the one that it is compared with (B). score: least box score of a person. size: long side
    of the network's frames, pixels; by default they are as large as in its training.

    Raises CheckpointError and DatasetError, also in the middle of a video.
    """
    check_deltas(deltas)
    detector, model = detector_of(Path(checkpoint))
    pictures = open_footage(source).pictures()
    return analyse_pictures(detector, resized(model, size), pictures, deltas, score, Tracker(LINKER))


def resized(model: Model, size: int | None) -> Model:
    """The network's configuration for frames whose long side has `size` pixels; None leaves it as it is.

    Raises DatasetError for sizes that no network takes.
    """
    if size is not None and not _SIZES[0] <= size <= _SIZES[1]:
        raise DatasetError(
            f"size {size}: the long side of the network's frames must be {_SIZES[0]} to {_SIZES[1]} pixels"
        )
    return model if size is None else model.model_copy(update={"image_size": size, "image_max_size": size})


def analyse_pictures(
    detector: PoseDetector,
    model: Model,
    pictures: Iterator[Picture],
    deltas: Sequence[int],
    score: float,
    tracker: Tracker,
    first: int = 0,
) -> Iterator[AnalysedFrame]:
    """As `analyse`, from the frame `first`, a multiple of BATCH, on.

    pictures: from `first_needed(first, deltas)` on. deltas: as `check_deltas` wants them. tracker: knows the frames
    before `first`.
    """
    detector.eval().to(device())
    held: dict[int, Picture] = {}  # encoded, but not yet analysed themselves

    @torch.inference_mode()
    def features(frames: Tensor) -> list[Tensor]:
        return encode(detector.backbone, frames)

    def load(frames: Sequence[int]) -> tuple[Tensor, list[tuple[int, int]], float]:
        return network_frames([held[frame].image for frame in frames], model)

    window = FeatureWindow(features, load, model, BATCH)
    encoded, ended = first_needed(first, deltas), False
    for start in count(first, BATCH):
        while not ended and encoded < start + BATCH + max(0, *deltas):
            batch = {picture.position: picture for picture in islice(pictures, BATCH)}
            held |= batch
            if batch:
                window.features(list(batch))
            encoded, ended = encoded + len(batch), len(batch) < BATCH
        chunk = range(start, min(start + BATCH, encoded))
        if not chunk:
            return
        frames_b = {delta: [min(max(a + delta, 0), encoded - 1) for a in chunk] for delta in deltas}
        yield from _analysed(detector, window, [held[a] for a in chunk], frames_b, score, tracker)
        held = {position: picture for position, picture in held.items() if position >= start + BATCH}
        window.forget(first_needed(start + BATCH, deltas))


def first_needed(first: int, deltas: Sequence[int]) -> int:
    """The first picture that `analyse_pictures` needs to begin at the frame `first`."""
    return max(0, first + min(0, *deltas)) // BATCH * BATCH


def check_deltas(deltas: Sequence[int]) -> None:
    """Raise DatasetError unless the gaps are different numbers of frames other than 0, where offsets are zero."""
    if not deltas or 0 in deltas or len(set(deltas)) < len(deltas) or max(map(abs, deltas)) > _LARGEST_DELTA:
        raise DatasetError(
            f"δ {', '.join(map(str, deltas)) or 'missing'}: give different gaps in frames, forwards or backwards, "
            f"of 1 to {_LARGEST_DELTA}; at δ = 0 there is no motion"
        )


@torch.inference_mode()
def _analysed(
    detector: PoseDetector,
    window: FeatureWindow,
    pictures: Sequence[Picture],
    frames_b: dict[int, list[int]],
    score: float,
    tracker: Tracker,
) -> list[AnalysedFrame]:
    features = window.features([picture.position for picture in pictures])
    found = detector.detect(detector.resampled(features, features), [window.size] * len(pictures))
    assert detector.offsets is not None
    offsets = {delta: detector.offsets(features, window.features(frames)) for delta, frames in frames_b.items()}
    frames = []
    for row, picture in enumerate(pictures):
        here = {delta: [level[row] for level in levels] for delta, levels in offsets.items()}
        people = _people(found[row], here, window.scale, score, picture.position, tracker)
        b = {delta: positions[row] for delta, positions in frames_b.items()}
        frames.append(AnalysedFrame(picture, people, b, here, window.scale, window.size))
    return frames


def _people(
    found: dict[str, Tensor],
    offsets: dict[int, list[Tensor]],
    zoom: float,
    score: float,
    position: int,
    tracker: Tracker,
) -> tuple[TrackedPerson, ...]:
    kept = found["scores"] >= score
    scores, boxes, points, logits = (
        found[name][kept].float().cpu().numpy() for name in ("scores", "boxes", "keypoints", "keypoints_scores")
    )
    joints = exported_joints(points[..., :2], logits, None, "shoulders").astype(np.float32)
    at = torch.from_numpy(joints.reshape(-1, 2))
    features = {}
    for delta, levels in offsets.items():
        fields = motion_fields([level[None] for level in levels])
        read = joint_features(fields, at.to(levels[0])[None])[0].float().cpu().numpy()
        features[delta] = read.reshape(len(joints), len(POSETRACK_JOINTS), read.shape[1]) / np.float32(zoom)
    boxes, joints = boxes / np.float32(zoom), zoomed(joints, 1 / zoom)
    tracks = tracker.assign(position, boxes.astype(np.float64), joints.astype(np.float64))
    return tuple(
        TrackedPerson(
            int(tracks[person]),
            float(scores[person]),
            boxes[person],
            joints[person],
            logits[person],
            {delta: values[person] for delta, values in features.items()},
        )
        for person in range(len(scores))
    )
