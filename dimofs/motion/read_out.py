"""The linear read-out (§4.1): from the offsets at a joint to its displacement, fitted on training pairs (A17)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GroupKFold
from torch import Tensor
from tqdm import tqdm

from dimofs.config import Model
from dimofs.datasets.records import Array, DatasetError, Frame, Video
from dimofs.model.pose_detector import PoseDetector
from dimofs.motion.predict import pair_motions
from dimofs.pairs.sampling import Draw
from dimofs.training.checkpoint import CheckpointError, load_checkpoint
from dimofs.training.loop import device

#: Penalties that the fit chooses from, pixels² a joint: how much error one unit of squared coefficients must save.
PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)

_FOLDS = 5


@dataclass(frozen=True)
class ReadOut:
    """A fitted read-out."""

    coefficients: Tensor  #: (2, 4 · C · 2) float32: rows for dx and dy, columns as in `fields.joint_features`
    penalty: float  #: the one of PENALTIES that predicts held-out training videos best
    joints: int  #: number of joints it was fitted on


def joint_displacements(frame_a: Frame, frame_b: Frame) -> tuple[Array, Array]:
    """List the joints that are labelled in both frames for the same person: (M, 2) where in A, and (M, 2) B − A.

    The same person is who has the same track id. Pixels of the file, x y, float32; people and joints in A's order.
    """
    others = {person.track_id: person for person in frame_b.people}
    places, displacements = [np.zeros((0, 2), np.float32)], [np.zeros((0, 2), np.float32)]
    for person in frame_a.people:
        if person.track_id in others:
            other = others[person.track_id]
            both = person.labelled & other.labelled
            places.append(person.joints[both])
            displacements.append(other.joints[both] - person.joints[both])
    return np.concatenate(places), np.concatenate(displacements)


def fit(features: Array, displacements: Array, groups: NDArray[np.intp]) -> ReadOut:
    """Fit the read-out by ridge regression, with the penalty that predicts held-out groups best.

    features: (M, D) joint features; displacements: (M, 2) dx dy; both in pixels. groups: (M,) the video of each joint.
    There is no intercept: where the offsets are zero, as at δ = 0, nothing moves.

    Raises DatasetError where there are fewer than two groups.
    """
    videos = len(np.unique(groups))
    if videos < 2:
        raise DatasetError(
            "training pairs: fewer than two videos have a joint labelled in both frames, so no read-out can be "
            "fitted; list pairs of more videos"
        )
    penalties = [penalty * len(features) for penalty in PENALTIES]
    folds = list(GroupKFold(min(_FOLDS, videos)).split(features, groups=groups))
    search = RidgeCV(penalties, fit_intercept=False, cv=folds, scoring="neg_mean_squared_error")
    search.fit(features, displacements)
    best = int(np.argmin(np.abs(np.array(penalties) - search.alpha_)))
    ridge = Ridge(penalties[best], fit_intercept=False).fit(features, displacements)
    return ReadOut(torch.from_numpy(ridge.coef_.astype(np.float32)), PENALTIES[best], len(features))


def fit_read_out(
    network: PoseDetector, videos: Sequence[Video], draws: Sequence[Draw], model: Model, batch_size: int
) -> ReadOut:
    """Fit the read-out on training pairs, in which Frame B must be labelled, too, for a pair to count (A8)."""
    by_name = {video.name: video for video in videos}
    network.eval().to(device())
    wanted: dict[str, set[tuple[int, int]]] = {}
    for draw in draws:
        wanted.setdefault(draw.video, set()).add((draw.frame_a, draw.frame_b))
    features, displacements, groups = [], [], []
    for index, name in enumerate(tqdm(sorted(wanted), desc="read-out", unit="video", dynamic_ncols=True)):
        video = by_name[name]
        labelled = {(a, b): joint_displacements(video.frames[a], video.frames[b]) for a, b in wanted[name]}
        pairs = [pair for pair, (places, _) in labelled.items() if len(places)]
        for motion in pair_motions(network, video, pairs, model, batch_size):
            places, moved = labelled[motion.frame_a, motion.frame_b]
            features.append(motion.joint_features(places))
            displacements.append(moved)
            groups += [index] * len(places)
    if not features:
        raise DatasetError("training pairs: no joint is labelled in both frames of any pair; draw more pairs")
    return fit(np.concatenate(features), np.concatenate(displacements), np.array(groups, np.intp))


def load_read_out(path: Path, channels: int, checkpoint: Path) -> Tensor:
    """Read the coefficients (2, 4 · channels · 2) of a read-out that `dimofs motion fit` wrote for a checkpoint.

    Raises CheckpointError when the file is none, or was fitted to the offsets of other weights.
    """
    tensors, metadata = load_checkpoint(path)
    coefficients = tensors.get("coefficients")
    if coefficients is None or coefficients.shape != (2, 8 * channels):
        raise CheckpointError(f"{path}: is no read-out of {channels} channels a scale; fit it again")
    if hashlib.sha256(checkpoint.read_bytes()).hexdigest() not in dict(metadata.get("sha256", {})).values():
        raise CheckpointError(f"{path}: was fitted to other weights than {checkpoint}; fit it to these")
    return coefficients
