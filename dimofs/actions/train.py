"""Training the localiser (§5.1): one budget for every column of Table 3."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from torch import Tensor

from dimofs.actions.ablations import ActionTraining
from dimofs.actions.flow import flow_levels
from dimofs.config import Config
from dimofs.datasets.records import JHMDB_CLASSES, Video
from dimofs.model.action_localizer import ActionLocalizer, inflate
from dimofs.pairs.loading import Batch, PairLoader, action_target, neighbours, second_frame
from dimofs.pairs.sampling import PairSampler
from dimofs.training.checkpoint import start_from
from dimofs.training.loop import Run, as_input, device, train


def build_localizer(config: Config, plan: ActionTraining, initial: Path | None) -> ActionLocalizer:
    """Build a localiser; `initial` names the pose checkpoint it starts from (A27), None leaves it random.

    Backbone and RPN come from the checkpoint, where it is a DiMoFs model the offset predictors and the 1×1 weights too;
    elsewhere those start at zero and these as the identity. The MLPs are new in every column. What does not learn needs
    no gradient.
    """
    network = ActionLocalizer(
        config.model, config.actions, len(JHMDB_CLASSES), motion=plan.motion, inflated=plan.inflated_3d
    )
    if initial is not None:
        parts = ["backbone.", "rpn."]
        if plan.initial_weights == "dimofs":
            parts += ["resampling.", "offsets."] if plan.motion == "offsets" else ["resampling."]
        start_from(network, initial, parts=tuple(parts))
    network.rpn.requires_grad_(config.actions.train_detector)
    network.resampling.requires_grad_(config.actions.train_detector)
    network.backbone.requires_grad_(config.actions.train_detector or plan.inflated_3d)
    if plan.inflated_3d:
        inflate(network.backbone)
    if network.offsets is not None and not plan.train_offsets:
        network.offsets.requires_grad_(False)
    return network


def batch_losses(
    network: ActionLocalizer, config: Config, plan: ActionTraining
) -> Callable[[Batch], dict[str, Tensor]]:
    """Bind a network to its losses over batches."""

    def losses(batch: Batch) -> dict[str, Tensor]:
        target = device()
        flow = None
        frames = batch.frames
        if plan.motion == "flow":
            frame_a, frame_b = frames
            flow = [level.to(target, non_blocking=True) for level in flow_levels(frame_a, frame_b, config.actions.flow)]
            frames = (frame_a,)
        targets = [
            {name: value.to(target, non_blocking=True) for name, value in labels.items()} for labels in batch.targets
        ]
        return network.losses(tuple(as_input(frame, target) for frame in frames), flow, batch.sizes, targets)

    return losses


def train_localizer(
    config: Config, plan: ActionTraining, videos: list[Video], pairs: pd.DataFrame, initial: Path, run: Run
) -> None:
    """Train one localiser on the training split of JHMDB."""
    network = build_localizer(config, plan, initial)
    loader = PairLoader(
        videos,
        PairSampler(pairs, "train", run.seed),
        config.model,
        config.actions.augmentation,
        target=action_target,
        beside=neighbours if plan.inflated_3d else second_frame,
        seed=run.seed,
    )
    train(network, batch_losses(network, config, plan), loader, config.actions.training, run)
