"""Ours-final (§5.2): the network of §5.1, trained to say which clusters the people of a pair are in.

What it says of all pairs of a dive, summed up, describes the dive. Clusters are made from the poses and DiMoFs of whole
training dives; the network sees a pair of frames and has to find their people by itself.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from dimofs.config import Config
from dimofs.datasets.diving48 import Dive, as_video, decode
from dimofs.datasets.records import DatasetError, Video
from dimofs.model.action_localizer import ActionLocalizer
from dimofs.pairs.loading import Batch, Change, Image, PairLoader, Target, moved_boxes, second_frame
from dimofs.pairs.sampling import Draw
from dimofs.recognition.features import inner_pairs, paired_features, write_in_parts
from dimofs.training.checkpoint import start_from
from dimofs.training.loop import Run, as_input, device, train

_PAIR = ["video", "frame", "delta"]


def build_cluster_network(config: Config, initial: Path | None) -> ActionLocalizer:
    """Build the network of §5.1 with a class for each cluster; `initial` names the DiMoFs checkpoint it starts from.

    The MLPs are new. Backbone, RPN and 1×1 weights learn only where `recognition.final.train_detector` says so.
    """
    clusters = config.clusters.clusters
    network = ActionLocalizer(config.model, config.actions, clusters, motion="offsets", inflated=False)
    if initial is not None:
        start_from(network, initial, parts=("backbone.", "rpn.", "resampling.", "offsets."))
    for part in (network.backbone, network.rpn, network.resampling):
        part.requires_grad_(config.recognition.final.train_detector)
    return network


def labelled_people(ids: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    """Join the training people's boxes with their clusters: columns video, frame, delta, person, box, cluster.

    ids: a table of `clusters.cluster_ids`; features: those of the training dives. Raises DatasetError where some person
    has no cluster, and where there are several δ: a person of Frame A would have as many clusters.
    """
    if len({*features["delta"]}) > 1:
        raise DatasetError("the features of the training dives have several δ; set one in pairs.diving48_train")
    people = features[[*_PAIR, "person", "box"]]
    clusters = ids.loc[ids["split"] == "train", [*_PAIR, "person", "cluster"]]
    joined = people.merge(clusters, on=[*_PAIR, "person"], validate="one_to_one")
    if len(joined) != len(people):
        raise DatasetError(
            f"{len(people) - len(joined)} people of the training features have no cluster; cluster again"
        )
    return joined


class PeopleSampler:
    """An endless stream of pairs, drawn by their people.

    uniform: every cluster that has members comes equally often, and its members with it (A36), so that large clusters,
    such as divers who stand, do not drown the others; else every person comes equally often. A draw is a function of
    (seed, position) alone.
    """

    def __init__(self, people: pd.DataFrame, seed: int, *, uniform: bool) -> None:
        """Take a table of `labelled_people`."""
        self._rows = [(str(video), int(a), int(delta)) for video, a, delta in people[_PAIR].itertuples(index=False)]
        groups = people.reset_index(drop=True).groupby("cluster", sort=True) if uniform else None
        everybody = np.arange(len(people))
        self._groups = [everybody] if groups is None else [np.asarray(rows.index) for _, rows in groups]
        self._seed = seed

    def draw(self, position: int) -> Draw:
        """Give the pair at a position (0, 1, 2, …) of the stream."""
        rng = np.random.default_rng((self._seed, 4, position))  # 2 and 3: the changes and sizes of `PairLoader`
        group = self._groups[rng.integers(len(self._groups))]
        video, frame, delta = self._rows[rng.choice(group)]
        return Draw(position, video, frame, frame + delta, delta)


def cluster_target(people: pd.DataFrame) -> Target:
    """Make Frame A's labels from a table of `labelled_people`: each person's box, with 1 + cluster (0: background)."""
    found: dict[tuple[str, int], tuple[list[NDArray[np.float32]], list[int]]] = {}
    for video, frame, box, cluster in people[["video", "frame", "box", "cluster"]].itertuples(index=False):
        boxes, clusters = found.setdefault((str(video), int(frame)), ([], []))
        boxes.append(np.asarray(box, np.float32))
        clusters.append(int(cluster))

    def target(
        video: Video, frame: int, scale: float, change: Change | None, size: tuple[int, int]
    ) -> dict[str, Tensor]:
        boxes, clusters = found[video.name, frame]
        moved, kept = moved_boxes(boxes, scale, change, size)
        return {"boxes": torch.from_numpy(moved), "labels": 1 + torch.tensor(clusters)[torch.from_numpy(kept)]}

    return target


def read_positions(dive: Dive, positions: Sequence[int]) -> list[Image]:
    """Decode frames of a dive, (H, W, 3) uint8 RGB each, in the order of `positions`; nothing behind the last one."""
    chosen = sorted({*positions})
    frames = dict(zip(chosen, decode(dive.path, dive.frames, chosen), strict=True))
    return [frames[position] for position in positions]


def batch_losses(network: ActionLocalizer) -> Callable[[Batch], dict[str, Tensor]]:
    """Bind a network to its losses over batches of pairs."""

    def losses(batch: Batch) -> dict[str, Tensor]:
        frames = tuple(as_input(frame, device()) for frame in batch.frames)
        targets = [{name: value.to(device()) for name, value in labels.items()} for labels in batch.targets]
        return network.losses(frames, None, batch.sizes, targets)

    return losses


def train_cluster_network(config: Config, dives: Sequence[Dive], people: pd.DataFrame, initial: Path, run: Run) -> None:
    """Train the network on a table of `labelled_people` of these dives."""
    torch.manual_seed(run.seed)
    network = build_cluster_network(config, initial)
    final = config.recognition.final
    by_name = {dive.name: dive for dive in dives}
    loader = PairLoader(
        [as_video(dive) for dive in dives],
        PeopleSampler(people, run.seed, uniform=final.uniform_clusters),
        config.model,
        final.augmentation,
        target=cluster_target(people),
        beside=second_frame,
        seed=run.seed,
        read=lambda video, positions: read_positions(by_name[video.name], positions),
    )
    train(network, batch_losses(network), loader, final.training, run)


def sum_activations(
    network: ActionLocalizer, dive: Dive, pairs: Sequence[tuple[int, int]], config: Config
) -> NDArray[np.float32]:
    """Sum what a network in evaluation mode says of the clusters of people, over pairs of a dive: (clusters,), A38."""
    final = config.recognition.final
    total = torch.zeros(config.clusters.clusters)
    for ready in paired_features(network.backbone, dive, pairs, config.model, final.batch_size):
        proposals, appearance = network.propose(ready.features_a, ready.sizes)
        motion = network.motion(ready.features_a, ready.features_b)
        seen = network.activations(proposals, appearance, motion, ready.sizes, final.score_threshold)
        total += seen.sum(dim=0).cpu()
    return total.numpy()


def describe_dives(
    network: ActionLocalizer,
    dives: Sequence[Dive],
    pairs: pd.DataFrame,
    config: Config,
    out: Path,
    resume: Path,
    identity: Mapping[str, Any],
) -> None:
    """Write what the network says of dives: columns video and activations (list of clusters float32), in their order.

    pairs: indices of their splits. Stopped and started again, it goes on, see `features.write_in_parts`.
    """
    wanted = inner_pairs(pairs)
    network.eval().to(device())

    def of_dives(chunk: Sequence[Dive]) -> pd.DataFrame:
        sums = [sum_activations(network, dive, list(wanted.get(dive.name, ())), config) for dive in chunk]
        return pd.DataFrame({"video": [dive.name for dive in chunk], "activations": sums})

    write_in_parts(dives, of_dives, "clusters of dives", out, resume, identity)
