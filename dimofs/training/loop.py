"""The training loop (A13): every network of the project is optimised here.

Each step reseeds torch from (seed, step) and each batch is a function of its step, so all state between two steps is
the weights, the optimiser's moments and the step's number. A training that was killed and started again therefore ends
with bit-identical weights on the CPU.

Where processes share each batch (`training.processes`), process r of n takes the r-th of n runs of its images, and the
gradients are averaged. How many they are does not change what is computed, only how sums are rounded, so that a
training may go on with another number of them.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

import dimofs
from dimofs import DimofsError
from dimofs.config import ConfigError, Training
from dimofs.io import write_csv
from dimofs.model.shared_batch import place
from dimofs.pairs.loading import Batch
from dimofs.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from dimofs.training.processes import join

#: Steps between two rows of the curve.
CURVE_EVERY = 10

#: Processes that load batches while a GPU computes; on a CPU they would take from the computing what they save it.
LOADERS = 4


class TrainingError(DimofsError, RuntimeError):
    """A training that cannot go on; the message names the step and the batch."""


class Batches(Protocol):
    """Anything that gives the batches of a range of steps."""

    def batches(self, batch_size: int, first: int, last: int) -> Iterator[Batch]:
        """Give the batches of steps `first`, …, `last` − 1."""
        ...


@dataclass(frozen=True)
class Run:
    """What identifies a training and where its files go."""

    name: str
    seed: int
    metadata: Mapping[str, Any]  #: written into the checkpoint; a resume point of other metadata or code is not used
    checkpoint: Path
    curve: Path
    resume: Path


def device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def computes_bfloat16(target: torch.device) -> bool:
    """Whether mixed precision pays: on a GPU, and on a CPU that multiplies bfloat16 itself."""
    if target.type != "cpu":
        return target.type == "cuda"
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16"))


def as_input(frames: Tensor, target: torch.device) -> Tensor:
    """Bring frames (N, 3, H, W) uint8 to the device as float RGB in [0, 1]."""
    return frames.to(target, non_blocking=True).float() / 255


def encode(layers: Callable[..., list[Tensor]], *frames: Tensor) -> list[Tensor]:
    """Run `layers`, a backbone with what follows it, on frames (N, 3, H, W) uint8 outside training.

    Returns their features as float32, though computed in mixed precision where training is: the heads behind them
    compare scores, which bfloat16 would tie.
    """
    target = device()
    with torch.autocast(target.type, torch.bfloat16, enabled=computes_bfloat16(target)):
        levels = layers(*(as_input(part, target) for part in frames))
    return [level.float() for level in levels]


def learning_rate(training: Training, step: int) -> float:
    """Rate at a step: linear warm-up from a third, then a cosine to zero or ×0.1 at each milestone."""
    warmup = min(1.0, 1 / 3 + 2 / 3 * step / training.warmup_steps) if training.warmup_steps else 1.0
    if training.schedule == "cosine":
        decay = 0.5 * (1 + math.cos(math.pi * step / training.steps))
    else:
        decay = 0.1 ** sum(step >= milestone * training.steps for milestone in training.milestones)
    return training.learning_rate * warmup * decay


def build_optimizer(network: nn.Module, training: Training) -> torch.optim.Optimizer:
    """Build the optimiser over the weights that train; biases and normalisation do not decay."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": training.weight_decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    if training.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=training.learning_rate, momentum=0.9, fused=True)
    return torch.optim.AdamW(groups, lr=training.learning_rate, fused=True)


class _Steps(Dataset[Batch]):
    """The batches of this process, by step: smaller batches of the same stream, every n-th of which is ours."""

    def __init__(self, batches: Batches, training: Training) -> None:
        self._batches = batches
        self._rank, self._processes = place()
        self._size = training.batch_size // self._processes

    def __getitem__(self, step: int) -> Batch:
        number = step * self._processes + self._rank
        return next(iter(self._batches.batches(self._size, number, number + 1)))


def load_ahead(batches: Batches, training: Training, first: int, loaders: int) -> Iterator[Batch]:
    """Give this process's part of the batches from step `first` on; `loaders` processes load ahead into pinned memory.

    Without loaders, each batch is loaded when it is asked for.
    """
    steps = range(first, training.steps)
    return iter(
        DataLoader(
            _Steps(batches, training),
            batch_size=None,
            sampler=steps,
            num_workers=loaders,
            collate_fn=lambda batch: batch,
            pin_memory=loaders > 0 and torch.cuda.is_available(),
        )
    )


class _Losses(nn.Module):
    """A network as its losses, which is where data parallel training takes hold."""

    def __init__(self, network: nn.Module, losses: Callable[[Batch], dict[str, Tensor]]) -> None:
        super().__init__()
        self.network = network
        self._losses = losses

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return self._losses(batch)


def _spread(
    network: nn.Module, losses: Callable[[Batch], dict[str, Tensor]], target: torch.device
) -> Callable[[Batch], dict[str, Tensor]]:
    """Give losses whose gradients, after backward, are the mean over all processes."""
    if any(isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d) for module in network.modules()):
        if target.type == "cpu":
            raise ConfigError("a network that learns its normalisation cannot share batches on CPUs; use one process")
        nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return DistributedDataParallel(_Losses(network, losses), forward_sync_buffers=False)


def train(
    network: nn.Module,
    losses: Callable[[Batch], dict[str, Tensor]],
    batches: Batches,
    training: Training,
    run: Run,
    validate: Callable[[], dict[str, float]] | None = None,
) -> None:
    """Optimise `network` for `training.steps` steps, then write its checkpoint and its curve.

    losses: from a batch to named scalar losses, whose sum is minimised; where processes share the batch, the mean of
    each over them must be the batch's.
    validate: gives named figures of merit; called every `training.validate_every` steps and at the end, network in
    evaluation mode.
    Raises TrainingError at the first loss that is not finite, ConfigError where processes cannot share the batch.
    """
    join()
    rank, processes = place()
    if training.batch_size % processes:
        raise ConfigError(f"a batch of {training.batch_size} cannot be shared equally by {processes} processes")
    torch.set_num_threads(training.threads)
    target = device()
    mixed = computes_bfloat16(target)
    network.to(target)
    optimizer = build_optimizer(network, training)
    first, rows = _resume(network, optimizer, run)
    if processes > 1:
        losses = _spread(network, losses, target)
    shown: dict[str, str] = {}
    bar = tqdm(total=training.steps, initial=first, desc=run.name, unit="step", dynamic_ncols=True, disable=rank > 0)
    upcoming = load_ahead(batches, training, first, LOADERS if target.type == "cuda" else 0)
    for step, batch in enumerate(upcoming, start=first):
        torch.manual_seed(hash((run.seed, step)) % 2**63)
        network.train()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(training, step)
        if processes > 1:
            batch = _of_one_size(batch, target)
        with torch.autocast(target.type, torch.bfloat16, enabled=mixed):
            parts = losses(batch)
            loss = torch.stack(list(parts.values())).sum()
        if not torch.isfinite(loss):
            raise TrainingError(_describe(run, step, parts, batch))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), training.clip_norm)
        optimizer.step()
        done = step + 1
        bar.update()
        row: dict[str, float] = {}
        if done % CURVE_EVERY == 0 or done == training.steps:
            row = _means({"loss": loss, **parts})
            shown["loss"] = f"{row['loss']:.3f}"
        if rank == 0 and validate is not None and (done % training.validate_every == 0 or done == training.steps):
            network.eval()
            with torch.inference_mode():
                figures = validate()
            row |= figures
            shown |= {name: f"{value:.1f}" for name, value in figures.items()}
        if row:
            bar.set_postfix(shown)
            rows.append({"step": done, "learning_rate": optimizer.param_groups[0]["lr"], **row})
        if rank == 0 and done % training.checkpoint_every == 0 and done < training.steps:
            _save_resume_point(network, optimizer, run, done, rows)
    bar.close()
    if rank == 0:
        write_csv(pd.DataFrame(rows), run.curve)
        save_checkpoint(run.checkpoint, network.state_dict(), dict(run.metadata))
        run.resume.unlink(missing_ok=True)
    if processes > 1:
        torch.distributed.barrier()  # none ends before the files are there


def _of_one_size(batch: Batch, target: torch.device) -> Batch:
    """Pad frames to the largest of all processes, as one process with the whole batch would: anchors hang on it."""
    own = torch.tensor(batch.frames[0].shape[-2:], device=target)
    largest = own.clone()
    torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX)
    down, right = (largest - own).tolist()
    return replace(batch, frames=tuple(nn.functional.pad(frames, (0, right, 0, down)) for frames in batch.frames))


def _means(values: Mapping[str, Tensor]) -> dict[str, float]:
    """Average named scalars over the processes."""
    means = torch.stack([value.detach() for value in values.values()])
    _, processes = place()
    if processes > 1:
        torch.distributed.all_reduce(means)
        means /= processes
    return dict(zip(values, means.tolist(), strict=True))


def _describe(run: Run, step: int, parts: Mapping[str, Tensor], batch: Batch) -> str:
    values = ", ".join(f"{name} {part.item():g}" for name, part in parts.items())
    pairs = ", ".join(f"{draw.video} A {draw.frame_a} B {draw.frame_b}" for draw in batch.draws)
    return f"{run.name}: the loss is not finite at step {step} ({values}); batch: {pairs}"


def _save_resume_point(
    network: nn.Module, optimizer: torch.optim.Optimizer, run: Run, step: int, rows: list[dict[str, float]]
) -> None:
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items() if value is not None}
    save_checkpoint(run.resume, tensors, {"step": step, "rows": rows, **_identity(run)})


def _identity(run: Run) -> dict[str, Any]:
    """What a resume point must share with the training that goes on from it: its settings and the package's source."""
    return {"run": dict(run.metadata), "code": source_digest()}


def source_digest() -> str:
    """SHA-256 of the package's source."""
    sources = sorted(Path(dimofs.__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(map(Path.read_bytes, sources))).hexdigest()


def _resume(network: nn.Module, optimizer: torch.optim.Optimizer, run: Run) -> tuple[int, list[dict[str, float]]]:
    """Load the resume point, if there is one of this very run; returns the next step and the curve so far."""
    if not run.resume.exists():
        return 0, []
    try:
        tensors, metadata = load_checkpoint(run.resume)
    except CheckpointError:
        _say(f"{run.name}: the resume point {run.resume} is damaged; starting from the beginning")
        return 0, []
    if any(metadata.get(key) != value for key, value in _identity(run).items()):
        _say(
            f"{run.name}: the resume point {run.resume} is of another configuration, data or code; "
            "starting from the beginning"
        )
        return 0, []
    network.load_state_dict({name[8:]: tensor for name, tensor in tensors.items() if name.startswith("network.")})
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(metadata["step"]), list(metadata["rows"])


def _say(line: str) -> None:
    if place()[0] == 0:
        tqdm.write(line)
