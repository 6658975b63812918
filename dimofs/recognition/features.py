"""Chapter `features` (§5.2): the joints of every person in every dive, and how each of them moves.

The pose model runs over all pairs of a dive. Of a person in Frame A it gives the joints; DiMoFs are read at every joint
and reduced by a PCA; optical flow is read at the same places for the control.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from torch import Tensor, nn
from tqdm import tqdm

from dimofs.config import Features, Model
from dimofs.datasets.diving48 import Dive, read_frames
from dimofs.datasets.records import LABELLED_SLOTS, Image
from dimofs.io import write_parquet
from dimofs.model.fields import joint_features, motion_fields
from dimofs.model.pose_detector import PoseDetector
from dimofs.pairs.loading import as_tensor, network_scale, resize, zoomed
from dimofs.training.checkpoint import load_checkpoint, save_checkpoint
from dimofs.training.loop import device, encode, source_digest

Array = NDArray[np.float32]
Pair = tuple[int, int]
#: From Frames A and B, (H, W, 3) uint8 RGB, to (H, W, 2) dx dy.
Flow = Callable[[Image, Image], Array]

#: Columns of a table of features: one row a person in Frame A of a pair.
COLUMNS = ("video", "frame", "delta", "person", "score", "box", "joints", "joint_scores", "dimofs", "flow")

#: Dives between two resume points.
PART = 20


@dataclass(frozen=True)
class People:
    """The D people found in Frame A of a pair; coordinates and displacements in pixels of the file."""

    scores: Array  #: (D,)
    boxes: Array  #: (D, 4) x1 y1 x2 y2
    joints: Array  #: (D, 15, 2) x y
    joint_scores: Array  #: (D, 15) logits
    dimofs: Array  #: (D, 15, 8C)
    flow: Array  #: (D, 15, 2) dx dy


@dataclass(frozen=True)
class Projection:
    """A PCA: (x − mean) @ components.T."""

    mean: Array  #: (F,)
    components: Array  #: (K, F)

    def apply(self, dimofs: Array) -> Array:
        """Project DiMoFs at joints (D, 15, 8C) to (D, 15·K), or to (D, K) where the PCA is of stacked joints (A33)."""
        people, joints, channels = dimofs.shape
        stacked = len(self.mean) == joints * channels
        vectors = dimofs.reshape(people, joints * channels) if stacked else dimofs
        width = len(self.components) * (1 if stacked else joints)
        return np.matmul(vectors - self.mean, self.components.T, dtype=np.float32).reshape(people, width)


def observe(
    network: PoseDetector,
    dive: Dive,
    pairs: Sequence[Pair],
    model: Model,
    features: Features,
    flow: Flow,
) -> Iterator[tuple[Pair, People]]:
    """Find the people of Frame A for pairs (A, B) of a dive, and how their joints move until Frame B.

    Every frame is decoded once and passes the backbone once, see `paired_features`. `flow` gives (H, W, 2) dx dy from
    Frame A to Frame B, both (H, W, 3) uint8 RGB. Pairs come in order of their later frame.
    """
    assert network.offsets is not None
    assert network.resampling is not None
    for ready in paired_features(network.backbone, dive, pairs, model, features.batch_size):
        offsets = network.offsets(ready.features_a, ready.features_b)
        found = network.detect(network.resampling(ready.features_b, offsets), ready.sizes)
        for row, (a, b) in enumerate(ready.pairs):
            people = _people(found[row], [level[row : row + 1] for level in offsets])
            seen = len(people.scores) > 0
            moved = flow(ready.frames[a], ready.frames[b]) if seen else np.zeros((1, 1, 2), np.float32)
            yield (a, b), _in_file(people, moved, ready.scale)


@dataclass(frozen=True)
class Ready:
    """Pairs of a dive whose frames have passed the backbone."""

    pairs: list[Pair]
    features_a: list[Tensor]  #: per scale (N, C, H, W)
    features_b: list[Tensor]
    frames: Mapping[int, Image]  #: as the network sees them, (H, W, 3); at least those of the pairs
    scale: float  #: zoom from the file's pixels to the network's

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Each Frame A's (height, width) in pixels of the network."""
        return [self.frames[a].shape[:2] for a, _ in self.pairs]


def paired_features(
    backbone: nn.Module, dive: Dive, pairs: Sequence[Pair], model: Model, batch_size: int
) -> Iterator[Ready]:
    """Bring the frames of a dive through a backbone, up to `batch_size` at a time, and give pairs (A, B) as they come.

    Every frame is decoded once and passes the backbone once; frames that no later pair needs are forgotten.
    """
    waiting = sorted(set(pairs), key=lambda pair: (max(pair), pair))
    held: dict[int, tuple[Image, list[Tensor]]] = {}
    for start, images, scale in _chunks(dive, model, batch_size):
        levels = encode(backbone, as_tensor(images))
        held |= {start + row: (image, [level[row : row + 1] for level in levels]) for row, image in enumerate(images)}
        ready = [pair for pair in waiting if max(pair) < start + len(images)]
        waiting = waiting[len(ready) :]
        if ready:
            features_a, features_b = (
                [torch.cat(scales) for scales in zip(*(held[pair[end]][1] for pair in ready), strict=True)]
                for end in (0, 1)
            )
            yield Ready(ready, features_a, features_b, {frame: kept[0] for frame, kept in held.items()}, scale)
        if not waiting:
            return
        needed = min(min(pair) for pair in waiting)
        held = {frame: kept for frame, kept in held.items() if frame >= needed}


def _chunks(dive: Dive, model: Model, size: int) -> Iterator[tuple[int, list[Image], float]]:
    """Runs of up to `size` frames as the network sees them: position of the first, frames (H, W, 3), zoom."""
    images: list[Image] = []
    scale = 1.0
    for position, frame in enumerate(read_frames(dive)):
        scale = network_scale(frame, model)
        images.append(resize(frame, scale))
        if len(images) == size or position == dive.frames - 1:
            yield position + 1 - len(images), images, scale
            images = []


def _people(found: dict[str, Tensor], offsets: list[Tensor]) -> People:
    """The people of one frame with their DiMoFs, in pixels of the network; no flow yet."""
    joints = found["keypoints"][:, LABELLED_SLOTS, :2]
    read = joint_features(motion_fields(offsets), joints.reshape(1, -1, 2))[0].unflatten(
        0, (len(joints), len(LABELLED_SLOTS))
    )
    logits = found["keypoints_scores"][:, LABELLED_SLOTS]
    parts = (found["scores"], found["boxes"], joints, logits, read, torch.zeros_like(joints))
    return People(*(part.float().cpu().numpy() for part in parts))


def _in_file(people: People, flow: Array, scale: float) -> People:
    """The same people in pixels of the file, with the flow (H, W, 2) at their joints."""
    x, y = np.moveaxis(people.joints, -1, 0)
    if not len(x):
        return people
    moved = cv2.remap(flow, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return People(
        people.scores,
        people.boxes / scale,
        zoomed(people.joints, 1 / scale),
        people.joint_scores,
        people.dimofs / scale,
        np.asarray(moved, np.float32) / scale,
    )


def inner_pairs(pairs: pd.DataFrame) -> dict[str, dict[Pair, list[int]]]:
    """The pairs of an index by video, with their δ. Clamped ones are left out: their Frame B is another gap away."""
    found: dict[str, dict[Pair, list[int]]] = {}
    rows = pairs[~pairs["clamped"]]
    for video, a, b, delta in zip(rows["video"], rows["frame_a"], rows["frame_b"], rows["delta"], strict=True):
        found.setdefault(str(video), {}).setdefault((int(a), int(b)), []).append(int(delta))
    return found


def fit_projection(
    network: PoseDetector, dives: Sequence[Dive], pairs: pd.DataFrame, model: Model, features: Features, seed: int
) -> Projection:
    """Fit the PCA on the DiMoFs of `pca_dives` dives, evenly over the list."""
    wanted = inner_pairs(pairs)
    listed = [dive for dive in dives if dive.name in wanted]
    chosen = [listed[index] for index in np.unique(np.linspace(0, len(listed) - 1, features.pca_dives).astype(int))]
    prepare(network, features)
    with torch.inference_mode():
        found = [
            people.dimofs
            for dive in tqdm(chosen, desc="pca", unit="dive", dynamic_ncols=True)
            for _, people in observe(network, dive, list(wanted[dive.name]), model, features, no_flow)
        ]
    vectors = np.concatenate(found)
    vectors = (
        vectors.reshape(len(vectors), -1) if features.scope == "stacked" else vectors.reshape(-1, vectors.shape[-1])
    )
    pca = PCA(min(features.components, *vectors.shape), random_state=seed).fit(vectors)
    return Projection(pca.mean_.astype(np.float32), pca.components_.astype(np.float32))


def prepare(network: PoseDetector, features: Features) -> None:
    """Ready for prediction; who is below the threshold is left out before the joints are looked for, to save time."""
    network.eval().to(device())
    network.roi_heads.score_thresh = features.score_threshold


def no_flow(frame_a: Image, frame_b: Image) -> Array:
    """Say that nothing moves, for who does not ask for flow."""
    return np.zeros((*frame_a.shape[:2], 2), np.float32)


def save_projection(projection: Projection, path: Path) -> None:
    """Write a PCA as safetensors."""
    tensors = {"mean": torch.from_numpy(projection.mean), "components": torch.from_numpy(projection.components)}
    save_checkpoint(path, tensors, {"dimensions": len(projection.components)})


def load_projection(path: Path) -> Projection:
    """Read a PCA written by `save_projection`. Raises CheckpointError."""
    tensors, _ = load_checkpoint(path)
    return Projection(tensors["mean"].numpy(), tensors["components"].numpy())


def extract(
    network: PoseDetector,
    dives: Sequence[Dive],
    pairs: pd.DataFrame,
    projection: Projection,
    model: Model,
    features: Features,
    flow: Flow,
    out: Path,
    resume: Path,
    identity: Mapping[str, Any],
) -> None:
    """Write the features of every person in every pair of an index: a Parquet file with COLUMNS, in order of the dives.

    `box` (4,), `joints` (30,) = 15 × x y, `joint_scores` (15,), `dimofs` and `flow` (30,) = 15 × dx dy are float32
    lists, pixels of the file. Stopped and started again, it goes on, see `write_in_parts`.
    """
    wanted = inner_pairs(pairs)
    prepare(network, features)

    def of_dives(chunk: Sequence[Dive]) -> pd.DataFrame:
        rows = [
            row
            for dive in chunk
            for pair, people in observe(network, dive, list(wanted[dive.name]), model, features, flow)
            for row in _rows(dive.name, pair, wanted[dive.name][pair], people, projection)
        ]
        return _table(rows)

    write_in_parts([dive for dive in dives if dive.name in wanted], of_dives, "features", out, resume, identity)


def write_in_parts(
    dives: Sequence[Dive],
    of_dives: Callable[[Sequence[Dive]], pd.DataFrame],
    name: str,
    out: Path,
    resume: Path,
    identity: Mapping[str, Any],
) -> None:
    """Write a table about dives as Parquet, made by `of_dives` for PART dives at a time, in their order.

    Parts are written to a folder in `resume` as they are done; who was stopped goes on from there if `identity` (what
    decides about the numbers) and the package's source are the same.
    """
    decisive = json.dumps([dict(identity), source_digest()], sort_keys=True)
    folder = resume / hashlib.sha256(decisive.encode()).hexdigest()[:16]
    parts = []
    with torch.inference_mode(), tqdm(total=len(dives), desc=name, unit="dive", dynamic_ncols=True) as bar:
        for start in range(0, len(dives), PART):
            parts.append(folder / f"{start:06d}.parquet")
            chunk = dives[start : start + PART]
            if not parts[-1].exists():
                write_parquet(of_dives(chunk), parts[-1])
            bar.update(len(chunk))
    write_parquet(pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True), out)
    shutil.rmtree(resume)


def _rows(
    video: str, pair: Pair, deltas: Sequence[int], people: People, projection: Projection
) -> Iterator[dict[str, object]]:
    reduced = projection.apply(people.dimofs)
    for delta in deltas:
        for person in range(len(people.scores)):
            yield {
                "video": video,
                "frame": pair[0],
                "delta": delta,
                "person": person,
                "score": people.scores[person],
                "box": people.boxes[person],
                "joints": people.joints[person].reshape(-1),
                "joint_scores": people.joint_scores[person],
                "dimofs": reduced[person],
                "flow": people.flow[person].reshape(-1),
            }


def _table(rows: list[dict[str, object]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({"frame": "int32", "delta": "int32", "person": "int32", "score": "float32"})
