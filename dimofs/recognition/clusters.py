"""Chapter `clusters` (§5.2): k-means over what people look like and how their joints move, on the training dives."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score
from threadpoolctl import threadpool_limits

from dimofs.config import Clusters
from dimofs.datasets.records import LABELLED_JOINTS

Array = NDArray[np.float32]

#: What is clustered: the blocks of features behind the rows "Ours-init" of Table 4.
KINDS: dict[str, tuple[str, ...]] = {
    "pose": ("pose",),
    "pose_flow": ("pose", "flow"),
    "pose_dimofs": ("pose", "dimofs"),
}

_JOINT = {name: index for index, name in enumerate(LABELLED_JOINTS)}
_SHOULDERS = [_JOINT["left_shoulder"], _JOINT["right_shoulder"]]
_HIPS = [_JOINT["left_hip"], _JOINT["right_hip"]]
_TINY = 1e-6


def column(features: pd.DataFrame, name: str) -> Array:
    """A column of lists of a table of features as (N, F) float32."""
    return np.stack(features[name].to_list()).astype(np.float32) if len(features) else np.zeros((0, 0), np.float32)


def normalised(features: pd.DataFrame, normalisation: Literal["box", "hip_torso", "raw"]) -> dict[str, Array]:
    """The blocks of every person, (N, F) float32 each, free of place and size (A32).

    box: joints (x − x1) / w, (y − y1) / h; displacements over √(w·h). hip_torso: joints from the middle of the hips,
    over twice the largest distance of a shoulder to a hip, displacements over the same. raw: pixels of the file.
    """
    joints = column(features, "joints").reshape(-1, len(LABELLED_JOINTS), 2)
    if normalisation == "box":
        box = column(features, "box")
        sides = np.maximum(box[:, 2:] - box[:, :2], 1)
        joints = (joints - box[:, None, :2]) / sides[:, None]
        size = np.sqrt(sides.prod(1))
    elif normalisation == "hip_torso":
        torsos = np.linalg.norm(joints[:, _SHOULDERS, None] - joints[:, None, _HIPS], axis=-1)
        size = 2 * np.maximum(torsos.max((1, 2)), 1)
        joints = (joints - joints[:, _HIPS].mean(1, keepdims=True)) / size[:, None, None]
    else:
        size = np.ones(len(joints), np.float32)
    moving = {name: column(features, name) / size[:, None] for name in ("flow", "dimofs")}
    return {"pose": joints.reshape(len(joints), -1), **moving}


@dataclass(frozen=True)
class Balance:
    """How a block is brought to the scale of the others: columns whitened, then the block to unit RMS length (A34)."""

    mean: Array  #: (F,)
    scale: Array  #: (F,)

    @staticmethod
    def of(block: Array, joint_dimensions: int | None = None) -> "Balance":
        """Learn it from rows (N, F).

        The dimensions of a PCA of single joints have one variance over all joints (`joint_dimensions`: how many there
        are of each joint), so that joints which move more keep doing so; other columns have each their own (z-scores).
        """
        mean = block.mean(0)
        spread = np.square(block - mean).mean(0)
        if joint_dimensions:
            spread = np.tile(spread.reshape(-1, joint_dimensions).mean(0), len(spread) // joint_dimensions)
        used = spread > _TINY**2
        scale = np.where(used, 1 / np.sqrt(np.maximum(spread, _TINY**2)), 0)
        length = np.sqrt((spread * scale**2).sum())
        return Balance(mean.astype(np.float32), (scale / max(length, _TINY)).astype(np.float32))

    def apply(self, block: Array) -> Array:
        """Rows (N, F) to (N, F)."""
        return (block - self.mean) * self.scale


def points(train: pd.DataFrame, test: pd.DataFrame, kind: str, clusters: Clusters) -> tuple[Array, Array]:
    """What k-means sees of training and test features, (N, F) float32 each; only the training rows set the scales."""
    blocks = [normalised(table, clusters.normalisation) for table in (train, test)]
    parts: tuple[list[Array], list[Array]] = ([], [])
    for name in KINDS[kind]:
        width = blocks[0][name].shape[1]
        of_joints = width // len(LABELLED_JOINTS) if name == "dimofs" and width % len(LABELLED_JOINTS) == 0 else None
        balance = Balance.of(blocks[0][name], of_joints)
        for rows, block in zip(parts, blocks, strict=True):
            rows.append(balance.apply(block[name].reshape(-1, width)))
    joined = [np.concatenate(rows, axis=1) for rows in parts]
    if clusters.l2:
        joined = [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _TINY) for rows in joined]
    return joined[0], joined[1]


def fit_means(train: Array, clusters: Clusters, seed: int) -> KMeans:
    """Run k-means on rows (N, F) float32: k-means++, several restarts, few iterations (A36)."""
    means = KMeans(
        min(clusters.clusters, len(train)),
        n_init=clusters.restarts,
        max_iter=clusters.iterations,
        random_state=seed,
        copy_x=False,
    )
    with threadpool_limits(clusters.threads):
        return means.fit(train)


def cluster(train: Array, test: Array, clusters: Clusters, seed: int) -> tuple[NDArray[np.int32], Array, Array]:
    """Run k-means on the training rows as often as `clusters.seeds` says.

    Returns the clusters (S, N) of training and then test rows, in order of falling size in training; and for the first
    run, which counts, the distances (N,) to the centre, and the centres (K, F).
    """
    rows = np.concatenate([train, test])
    ids = np.empty((clusters.seeds, len(rows)), np.int32)
    distance, centres = np.zeros(len(rows), np.float32), np.zeros((0, train.shape[1]), np.float32)
    for run in range(clusters.seeds):
        means = fit_means(train, clusters, seed + run)
        with threadpool_limits(clusters.threads):
            found = means.predict(rows)
        order = np.argsort(-np.bincount(found[: len(train)], minlength=len(means.cluster_centers_)), kind="stable")
        ids[run] = np.argsort(order, kind="stable")[found]
        if run == 0:
            centres = means.cluster_centers_[order]
            distance = np.linalg.norm(rows - centres[ids[0]], axis=1)
    return ids, distance, centres


def cluster_ids(train: pd.DataFrame, test: pd.DataFrame, kind: str, clusters: Clusters, seed: int) -> pd.DataFrame:
    """Cluster one of KINDS: one row for each of features, training first.

    Columns: split, video, frame, delta, person as in the features; cluster (int32, 0 is the largest in training),
    distance (float32, to its centre), and cluster_2, cluster_3, … of the runs with other seeds.
    """
    ids, distance, _ = cluster(*points(train, test, kind, clusters), clusters, seed)
    named = [table[["video", "frame", "delta", "person"]] for table in (train, test)]
    table = pd.concat([part.assign(split=split) for part, split in zip(named, ("train", "test"), strict=True)])
    others = {f"cluster_{run + 1}": ids[run] for run in range(1, len(ids))}
    table = table.reset_index(drop=True).assign(cluster=ids[0], distance=distance, **others)
    return table[["split", "video", "frame", "delta", "person", "cluster", "distance", *others]]


def describe(kinds: Mapping[str, pd.DataFrame], clusters: Clusters) -> pd.DataFrame:
    """Sizes, entropy and agreement of the clusterings: one row for each kind and split.

    `entropy` is that of the sizes, in bits (log2 K where all are equal); `nmi` the mean normalised mutual information
    of every two runs with different seeds, `nmi_min` the smallest.
    """
    rows = []
    for kind, table in kinds.items():
        runs = ["cluster", *(name for name in map(str, table) if name.startswith("cluster_"))]
        for split, group in table.groupby("split", sort=False):
            sizes = np.bincount(group["cluster"], minlength=clusters.clusters)
            share = sizes[sizes > 0] / max(sizes.sum(), 1)
            agreement = [normalized_mutual_info_score(group[a], group[b]) for a, b in combinations(runs, 2)]
            rows.append(
                {
                    "kind": kind,
                    "split": split,
                    "people": len(group),
                    "clusters": int((sizes > 0).sum()),
                    "smallest": int(sizes.min()),
                    "median": float(np.median(sizes)),
                    "largest": int(sizes.max()),
                    "entropy": float(-(share * np.log2(share)).sum()),
                    "nmi": float(np.mean(agreement)),
                    "nmi_min": float(np.min(agreement)),
                }
            )
    return pd.DataFrame(rows)
