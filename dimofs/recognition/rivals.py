"""The rivals of Table 4 (§6.3), trained and tested alike: TSN, TRN, C3D and R(2+1)D."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from dimofs.config import Config, Rivals, Training
from dimofs.datasets.corpus import Action
from dimofs.datasets.diving48 import Dive
from dimofs.model.video_networks import (
    FULL_WEIGHTS,
    ClipNetwork,
    RelationNetwork,
    SegmentNetwork,
    full_clip_network,
    small_c3d,
    small_r2plus1d,
)
from dimofs.pairs.loading import Batch
from dimofs.recognition.clips import ClipLoader, HeldVideo, Sampling, as_flow, clip, hold, hold_all
from dimofs.recognition.predictions import LABELS
from dimofs.training.checkpoint import fill, load_checkpoint, start_from
from dimofs.training.loop import Run, as_input, device, train

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Rival:
    """A network, what it sees and what it starts from."""

    network: Literal["tsn", "trn", "c3d", "r2plus1d"]
    initial: Literal["still", "corpus"] | None  #: the still-image weights, the actions of the corpus, or random weights
    flow: bool = False  #: stacks of optical flow instead of frames

    def sampling(self, rivals: Rivals) -> Sampling:
        """Which images of a video it sees at once."""
        if self.network in ("tsn", "trn"):
            return Sampling(rivals.segments, rivals.flow_fields if self.flow else 1, None)
        return Sampling(rivals.clip_frames, 1, rivals.clip_stride)


#: What is trained on the dives, by the name of its row in Table 4; `tsn_flow` is the flow stream of that row alone.
RIVALS = {
    "tsn_rgb": Rival("tsn", "still"),
    "tsn_flow": Rival("tsn", "still", flow=True),
    "trn": Rival("trn", "still"),
    "c3d": Rival("c3d", "corpus"),
    "r2plus1d": Rival("r2plus1d", None),
    "r2plus1d_pretrained": Rival("r2plus1d", "corpus"),
}

#: What is trained on the corpus of actions, for the rivals that start from it.
PRETRAININGS = {"c3d_corpus": Rival("c3d", None), "r2plus1d_corpus": Rival("r2plus1d", None)}

#: A rival trained without the dives of `hold_out`, and its scores of those: the weight of the fusion is chosen there.
HELD_OUT = {"r2plus1d_pretrained_hold_out": RIVALS["r2plus1d_pretrained"]}

#: Networks of each row, with the weights of their scores; those of TSN's streams are TSN's own.
ROWS = {name: ((name, 1.0),) for name in RIVALS} | {"tsn_flow": (("tsn_rgb", 1.0), ("tsn_flow", 1.5))}


def build_rival(rival: Rival, config: Config, classes: int) -> nn.Module:
    """Build a network with random weights that maps clips (N, T, C, S, S) in [0, 1] to logits (N, classes)."""
    rivals = config.recognition.rivals
    full = rivals.networks == "full"
    model = None if full else config.model
    if rival.network == "trn":
        return RelationNetwork(model, classes, rivals.dropout, rivals.segments)
    if rival.network == "tsn":
        return SegmentNetwork(model, classes, rivals.dropout)
    if full:
        backbone = full_clip_network("r3d_18" if rival.network == "c3d" else "r2plus1d_18")
    elif rival.network == "c3d":
        backbone = small_c3d(rivals.c3d_width)
    else:
        backbone = small_r2plus1d(rivals.r2plus1d_width)
    return ClipNetwork(*backbone, classes, rivals.dropout)


def start_weights(network: nn.Module, rival: Rival, rivals: Rivals, checkpoint: Path | None) -> None:
    """Give a new network what it starts from; a stream of flow gets its first layer from that of the colours (TSN).

    checkpoint: the still-image weights or the network trained on the corpus; None for random weights, and for the full
    networks, which take torchvision's weights on ImageNet and Kinetics (downloaded once, their hash checked).
    """
    if rivals.networks == "full" and rival.initial is not None:
        backbone = network.backbone.body if isinstance(network, SegmentNetwork | RelationNetwork) else network.backbone
        assert isinstance(backbone, nn.Module)
        weights = FULL_WEIGHTS[rival.network]
        tensors = weights.get_state_dict(progress=False, check_hash=True)
        own = {name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}  # of other classes
        fill(backbone, own, weights.url, parts=("",))
    elif checkpoint is not None:
        flat = isinstance(network, SegmentNetwork | RelationNetwork)  # it has none of the checkpoint's pyramid
        start_from(network, checkpoint, parts=("backbone.body." if flat else "backbone.",))
    if rival.flow:
        _see_flow(network, rivals)


def _see_flow(network: nn.Module, rivals: Rivals) -> None:
    assert isinstance(network, SegmentNetwork)
    network.see_flow(2 * rivals.flow_fields)


def batch_losses(network: nn.Module) -> Callable[[Batch], dict[str, Tensor]]:
    """Bind a network to its loss over batches."""

    def losses(batch: Batch) -> dict[str, Tensor]:
        clips = torch.stack([as_input(images, device()) for images in batch.frames], dim=1)
        labels = torch.stack([target["label"] for target in batch.targets]).to(device())
        return {"label": cross_entropy(network(clips).float(), labels)}

    return losses


def train_rival(
    config: Config,
    rival: Rival,
    videos: Sequence[Dive] | Sequence[Action],
    classes: int,
    training: Training,
    initial: Path | None,
    run: Run,
) -> None:
    """Train one network to tell the labels of videos apart.

    With one `training` and one seed, all see the same videos in the same order under the same changes.
    """
    rivals = config.recognition.rivals
    torch.manual_seed(run.seed)
    network = build_rival(rival, config, classes)
    start_weights(network, rival, rivals, initial)
    loader = ClipLoader(
        hold_all(videos, rivals, flow=rival.flow), rival.sampling(rivals), rivals.augmentation, run.seed
    )
    train(network, batch_losses(network), loader, training, run)


@dataclass(frozen=True)
class Part:
    """A trained network of a row of Table 4, in evaluation mode, with the weight of its scores."""

    network: nn.Module
    rival: Rival
    weight: float = 1.0


def load_row(row: str, config: Config, folder: Path) -> list[Part]:
    """Load the networks of one of ROWS, whose checkpoints lie in `folder`. Raises CheckpointError."""
    return [load_part(RIVALS[name], config, folder / f"{name}.safetensors", weight) for name, weight in ROWS[row]]


def load_part(rival: Rival, config: Config, checkpoint: Path, weight: float = 1.0) -> Part:
    """Load a network that was trained on dives. Raises CheckpointError."""
    network = build_rival(rival, config, LABELS)
    if rival.flow:
        _see_flow(network, config.recognition.rivals)
    network.load_state_dict(load_checkpoint(checkpoint)[0])
    return Part(network.eval().to(device()), rival, weight)


def recognise(row: Sequence[Part], video: HeldVideo, rivals: Rivals) -> Array:
    """Give the log-probabilities (LABELS,) of a video of frames: each network's mean over views of the video.

    The networks of one row are fused by the weighted sum of their log-probabilities (TSN).
    """
    scores = torch.stack([part.weight * _scores(part, video, rivals) for part in row]).sum(0)
    return torch.log_softmax(scores, 0).numpy()


def _scores(part: Part, video: HeldVideo, rivals: Rivals) -> Tensor:
    seen = as_flow(video) if part.rival.flow else video
    views = part.rival.sampling(rivals).views(len(seen.images), rivals.views)
    clips = torch.from_numpy(np.stack([clip(seen.images, positions) for positions in views]))
    logits = part.network(as_input(clips, device())).float().cpu()
    return torch.log_softmax(logits, 1).logsumexp(0)


def predict_rivals(config: Config, rows: Mapping[str, Sequence[Part]], dives: Sequence[Dive]) -> dict[str, Array]:
    """Give every row's log-probabilities (N, LABELS) of N dives."""
    rivals = config.recognition.rivals
    scores: dict[str, list[Array]] = {row: [] for row in rows}
    with torch.inference_mode():
        for dive in tqdm(dives, desc="dives", unit="dive", dynamic_ncols=True):
            held = hold(dive, rivals)
            for row, parts in rows.items():
                scores[row].append(recognise(parts, held, rivals))
    return {row: np.stack(values) for row, values in scores.items()}
