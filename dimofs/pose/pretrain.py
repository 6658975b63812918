"""Chapter `pretrain` (§3): the still-image initialisation, then the single-frame baseline and DiMoFs, both from it."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from pydantic import ValidationError
from torch import Tensor

from dimofs.config import Config, Model
from dimofs.datasets.records import Video
from dimofs.model.pose_detector import PoseDetector
from dimofs.pairs.loading import Batch, PairLoader, nothing, pose_target, second_frame
from dimofs.pairs.sampling import PairSampler
from dimofs.pose.judge import mean_ap
from dimofs.pose.predict import predict
from dimofs.training.checkpoint import CheckpointError, load_checkpoint, start_from
from dimofs.training.loop import Run, as_input, device, train

#: The networks of the chapter.
NETWORKS = ("still", "single_frame", "dimofs")

#: Frames a forward pass of the validation, whose settings are no one's choice: they must not decide about retraining.
VALIDATION_BATCH = 16


def build_detector(config: Config, network: str, *, training: bool = False, live_norm: bool = False) -> PoseDetector:
    """Build one of NETWORKS; only a training that starts from nothing learns the normalisation (live_norm)."""
    recompute_offsets = training and config.pretrain.recompute_offsets
    pairs = network == "dimofs"
    return PoseDetector(config.model, pairs=pairs, live_norm=live_norm, recompute_offsets=recompute_offsets)


def load_detector(config: Config, network: str, checkpoint: Path) -> PoseDetector:
    """Build one of NETWORKS with the weights of a checkpoint, in evaluation mode."""
    detector = build_detector(config, network)
    start_from(detector, checkpoint, parts=tuple(f"{name}." for name, _ in detector.named_children()))
    return detector.eval()


def detector_of(checkpoint: Path) -> tuple[PoseDetector, Model]:
    """Build the pair network that a checkpoint of DiMoFs holds, by the configuration in it, in evaluation mode.

    Raises CheckpointError when the file cannot be read, says nothing of its network, or has no offsets.
    """
    _, metadata = load_checkpoint(checkpoint)
    try:
        model = Model.model_validate(metadata.get("model"))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, ("model", *first["loc"])))
        raise CheckpointError(f"{checkpoint}: does not describe its network ({field}: {first['msg']})") from None
    detector = PoseDetector(model, pairs=True)
    start_from(detector, checkpoint, parts=tuple(f"{name}." for name, _ in detector.named_children()))
    return detector.eval(), model


def batch_losses(detector: PoseDetector) -> Callable[[Batch], dict[str, Tensor]]:
    """Bind a detector to its losses over batches of Frame A, or of Frames A and B."""

    def losses(batch: Batch) -> dict[str, Tensor]:
        frames = [as_input(frame, device()) for frame in batch.frames]
        targets = [
            {name: value.to(device(), non_blocking=True) for name, value in labels.items()} for labels in batch.targets
        ]
        return detector.losses(frames[0], frames[1] if len(frames) == 2 else None, batch.sizes, targets)

    return losses


def validation(
    detector: PoseDetector, config: Config, videos: list[Video], pairs: pd.DataFrame
) -> Callable[[], dict[str, float]]:
    """Mean AP at δ = 0 on evenly spaced labelled validation frames, for the training curve."""
    rows = pairs[(pairs["split"] == "val") & (pairs["delta"] == 0)]
    rows = rows.iloc[:: max(1, len(rows) // config.pretrain.validation_frames)]

    def validate() -> dict[str, float]:
        found = predict(detector, videos, rows, config.model, VALIDATION_BATCH)
        return {"val_map": mean_ap(videos, rows, found)}

    return validate


def pretrain(
    config: Config,
    network: str,
    data: tuple[list[Video], pd.DataFrame],
    validation_data: tuple[list[Video], pd.DataFrame] | None,
    initial: Path | None,
    run: Run,
) -> None:
    """Train one of NETWORKS on the train split of `data` (videos, pair index), from `initial` weights or from nothing.

    Offsets and their resampling start from `initial`, too, where both networks have them.

    The single-frame baseline and DiMoFs start from the same `initial` checkpoint and see the same Frames A with the
    same changes in the same order, for the same number of steps (fair comparisons); they differ in Frame B alone.
    """
    videos, pairs = data
    torch.manual_seed(run.seed)
    detector = build_detector(config, network, training=True, live_norm=initial is None)
    if initial is not None:
        start_from(detector, initial, parts=_shared_parts(detector, initial))
        detector.backbone.freeze(config.pretrain.frozen_stages)
    loader = PairLoader(
        videos,
        PairSampler(pairs, "train", run.seed),
        config.model,
        config.pretrain.augmentation,
        target=pose_target,
        beside=second_frame if network == "dimofs" else nothing,
        seed=run.seed,
    )
    schedule = config.pretrain.still if network == "still" else config.pretrain.pose
    validate = validation(detector, config, *validation_data) if validation_data else None
    train(detector, batch_losses(detector), loader, schedule, run, validate)


def _shared_parts(detector: PoseDetector, checkpoint: Path) -> tuple[str, ...]:
    """Backbone and heads, and those of the parts between them that the checkpoint has as well."""
    tensors, _ = load_checkpoint(checkpoint)
    there = {name.partition(".")[0] for name in tensors} | {"backbone", "rpn", "roi_heads"}
    return tuple(f"{name}." for name, _ in detector.named_children() if name in there)
