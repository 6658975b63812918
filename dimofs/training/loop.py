"""The training loop (A13): every network of the project is optimised here.

Each step reseeds torch from (seed, step) and each batch is a function of its step, so all state between two steps is
the weights, the optimiser's moments and the step's number. A training that was killed and started again therefore ends
with bit-identical weights on the CPU.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

import dimofs
from dimofs import DimofsError
from dimofs.config import Training
from dimofs.io import write_csv
from dimofs.pairs.loading import Batch
from dimofs.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint

#: Steps between two rows of the curve.
CURVE_EVERY = 10


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
        return torch.optim.SGD(groups, lr=training.learning_rate, momentum=0.9)
    return torch.optim.AdamW(groups, lr=training.learning_rate)


def train(
    network: nn.Module,
    losses: Callable[[Batch], dict[str, Tensor]],
    batches: Batches,
    training: Training,
    run: Run,
    validate: Callable[[], dict[str, float]] | None = None,
) -> None:
    """Optimise `network` for `training.steps` steps, then write its checkpoint and its curve.

    losses: from a batch to named scalar losses, whose sum is minimised.
    validate: gives named figures of merit; called every `training.validate_every` steps and at the end, network in
    evaluation mode.
    Raises TrainingError at the first loss that is not finite.
    """
    torch.set_num_threads(training.threads)
    target = device()
    mixed = computes_bfloat16(target)
    network.to(target)
    optimizer = build_optimizer(network, training)
    first, rows = _resume(network, optimizer, run)
    shown: dict[str, str] = {}
    bar = tqdm(total=training.steps, initial=first, desc=run.name, unit="step", dynamic_ncols=True)
    for step, batch in enumerate(batches.batches(training.batch_size, first, training.steps), start=first):
        torch.manual_seed(hash((run.seed, step)) % 2**63)
        network.train()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(training, step)
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
            row = {"loss": loss.item(), **{name: part.item() for name, part in parts.items()}}
            shown["loss"] = f"{row['loss']:.3f}"
        if validate is not None and (done % training.validate_every == 0 or done == training.steps):
            network.eval()
            with torch.inference_mode():
                figures = validate()
            row |= figures
            shown |= {name: f"{value:.1f}" for name, value in figures.items()}
        if row:
            bar.set_postfix(shown)
            rows.append({"step": done, "learning_rate": optimizer.param_groups[0]["lr"], **row})
        if done % training.checkpoint_every == 0 and done < training.steps:
            _save_resume_point(network, optimizer, run, done, rows)
    bar.close()
    write_csv(pd.DataFrame(rows), run.curve)
    save_checkpoint(run.checkpoint, network.state_dict(), dict(run.metadata))
    run.resume.unlink(missing_ok=True)


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
        tqdm.write(f"{run.name}: the resume point {run.resume} is damaged; starting from the beginning")
        return 0, []
    if any(metadata.get(key) != value for key, value in _identity(run).items()):
        tqdm.write(
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
