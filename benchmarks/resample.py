"""Time the resampling against what a user would write otherwise, side by side in one run.

Prints its tables and puts them between the marks of docs/benchmarks.md. Run, with threads waiting as in the package:
OMP_WAIT_POLICY=PASSIVE python benchmarks/resample.py
"""

import os
import platform
import random
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from torch import Tensor
from torch.nn.functional import conv2d, grid_sample, interpolate
from torchvision.ops import deform_conv2d

from dimofs.io import replacing
from dimofs.model.resample import CPU_CHUNK, resample

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
MARKS = ("<!-- resample: begin -->\n", "<!-- resample: end -->\n")

#: (N, C, H, W) and the kind of offsets: one scale at the paper's width, on one thread and on two.
WIDE = [((1, 256, 64, 64), "smooth"), ((1, 256, 64, 64), "independent"), ((2, 256, 64, 64), "smooth")]

#: The four scales of the default scenario, which trains on one thread.
DEFAULT = [((8, 64, side, side), "smooth") for side in (32, 16, 8, 4)]

SPREAD = 2.0  # standard deviation of a displacement, feature pixels

Op = Callable[[Tensor, Tensor, Tensor], Tensor]  # features, offsets, the 1×1 weight (C, C, 1, 1)


def deformable(features: Tensor, offsets: Tensor, _: Tensor) -> Tensor:
    """The same job: C groups of one channel, weight one."""
    return deform_conv2d(features, offsets, features.new_ones((features.shape[1], 1, 1, 1)))


def positions(features: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    height, width = features.shape[2:]
    return torch.arange(height)[:, None] + offsets[:, 0::2], torch.arange(width) + offsets[:, 1::2]


def grid_sampled(features: Tensor, offsets: Tensor, _: Tensor) -> Tensor:
    """PyTorch's public grid sampler with one picture for each channel."""
    height, width = features.shape[2:]
    y, x = positions(features, offsets)
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    pictures = features.reshape(-1, 1, height, width)
    return grid_sample(pictures, grid.flatten(0, 1), align_corners=False).view_as(features)


def gathered(features: Tensor, offsets: Tensor, _: Tensor) -> Tensor:
    """Bilinear interpolation by hand: four gathers of the flattened picture."""
    height, width = features.shape[2:]
    y, x = positions(features, offsets)
    top, left = y.floor(), x.floor()
    pictures = features.flatten(2)
    result = torch.zeros_like(features)
    for row, down in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, across in ((left, 1 - (x - left)), (left + 1, x - left)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            index = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long()
            result = result + pictures.gather(2, index.flatten(2)).view_as(features) * (down * across * inside)
    return result


def resampled(features: Tensor, offsets: Tensor, _: Tensor) -> Tensor:
    return resample(features, offsets)


def deformable_mixing(features: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """Sampling and the 1×1 mixing of the channels in one op: the paper's layer."""
    return deform_conv2d(features, offsets, weight)


def resampled_mixing(features: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    return conv2d(resample(features, offsets), weight)


def mixing(features: Tensor, _: Tensor, weight: Tensor) -> Tensor:
    return conv2d(features, weight)


SAME_JOB: dict[str, Op] = {
    "deform_conv2d": deformable,
    "gather": gathered,
    "grid_sample": grid_sampled,
    "resample": resampled,
}
WITH_MIXING: dict[str, Op] = {
    "deform_conv2d": deformable_mixing,
    "resample, 1×1": resampled_mixing,
    "1×1 alone": mixing,
}


def operands(shape: tuple[int, int, int, int], kind: str) -> tuple[Tensor, Tensor, Tensor]:
    """Draw features, offsets (a field that bends over a quarter of the picture, or white noise) and the 1×1 weight."""
    batch, channels, height, width = shape
    torch.manual_seed(0)
    features = torch.randn(shape)
    if kind == "smooth":
        offsets = interpolate(torch.randn(batch, 2 * channels, 4, 4), (height, width), mode="bicubic")
        offsets = SPREAD * offsets / offsets.std()
    else:
        offsets = SPREAD * torch.randn(batch, 2 * channels, height, width)
    return features, offsets, torch.eye(channels)[:, :, None, None].clone()


def forward(op: Op, tensors: tuple[Tensor, ...]) -> Callable[[], object]:
    def call() -> None:
        with torch.no_grad():
            op(*tensors)

    return call


def forward_backward(op: Op, tensors: tuple[Tensor, ...]) -> Callable[[], object]:
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    gradient = torch.randn(tensors[0].shape)

    def call() -> None:
        for leaf in leaves:
            leaf.grad = None
        op(*leaves).backward(gradient)

    return call


def milliseconds(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Time every call once a round, in an order drawn anew each round, after one round that is not counted."""
    order = random.Random(0)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for count in range(rounds + 1):
        for name in order.sample(list(calls), len(calls)):
            start = time.perf_counter()
            calls[name]()
            if count:
                times[name].append(1e3 * (time.perf_counter() - start))
    return times


def cell(times: list[float]) -> str:
    median, best = statistics.median(times), min(times)
    digits = 1 if best >= 10 else 2 if best >= 1 else 3
    return f"{median:.{digits}f} ({best:.{digits}f})"


def ratio(slow: list[float], fast: list[float]) -> str:
    return f"{statistics.median(slow) / statistics.median(fast):.1f} ({min(slow) / min(fast):.1f})"


def agree(ops: dict[str, Op], tensors: tuple[Tensor, ...]) -> None:
    """Stop where two ops that are compared do not compute the same."""
    reference, *others = (op(*tensors) for op in ops.values())
    for other in others:
        torch.testing.assert_close(other, reference, rtol=0, atol=2e-3)


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def comparison(ops: dict[str, Op], compared: int, cases: list[tuple[tuple[int, int, int, int], str]]) -> str:
    """Make one table; the first op is the reference and the `compared`-th the project's own."""
    names = list(ops)
    ours = names[compared]
    table = row("threads", "N, C, H, W", "offsets", "pass", *names, "times as fast")
    table += row(*["---"] * (5 + len(names)))
    for threads, shape, kind in [(1, *case) for case in cases] + [(2, *case) for case in cases if case in WIDE]:
        torch.set_num_threads(threads)
        tensors = operands(shape, kind)
        agree(dict(list(ops.items())[: compared + 1]), tensors)
        rounds = min(300, max(21, 20_000_000 // tensors[0].numel()))
        for label, job in (("forward", forward), ("forward + backward", forward_backward)):
            times = milliseconds({name: job(op, tensors) for name, op in ops.items()}, rounds)
            size = ", ".join(map(str, shape))
            cells = [cell(times[name]) for name in names]
            table += row(str(threads), size, kind, label, *cells, ratio(times[names[0]], times[ours]))
    return table


def floors() -> str:
    """Time what no arrangement around the grid sampler can avoid: moving every operand once, and the sampler itself."""
    shape = (1, 256, 64, 64)
    tensors = operands(shape, "smooth")
    features, offsets, _ = tensors
    planes = CPU_CHUNK // (64 * 64)
    pictures = features.view(-1, 1, 64, 64)[:planes].clone()
    y, x = positions(features, offsets)
    grid = torch.stack([(2 * x + 1) / 64 - 1, (2 * y + 1) / 64 - 1], dim=2).view(-1, 2, 64, 64)[:planes].clone()
    grid = grid.permute(0, 2, 3, 1)
    gradient, repeats = torch.randn_like(pictures), 256 // planes
    mode = (0, 0, False)

    def sample() -> None:
        for _ in range(repeats):
            torch.ops.aten.grid_sampler_2d(pictures, grid, *mode)

    def sample_back() -> None:
        for _ in range(repeats):
            torch.ops.aten.grid_sampler_2d(pictures, grid, *mode)
            torch.ops.aten.grid_sampler_2d_backward(gradient, pictures, grid, *mode, (True, True))

    source = torch.randn(4 * features.numel())
    target = torch.empty_like(source)
    table = row("threads", "pass", "MB moved", "moving them", "sampler, operands in the cache", "resample", "over both")
    table += row(*["---"] * 7)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        # forward: features, 2 offsets, result; backward: features, 2 offsets, gradient, and the three gradients made
        for label, job, sampler, count in (
            ("forward", forward, sample, 4),
            ("forward + backward", forward_backward, sample_back, 11),
        ):
            calls = {"copy": lambda: target.copy_(source), "sampler": sampler, "resample": job(resampled, tensors)}
            times = milliseconds(calls, 41)
            megabytes = count * features.numel() * 4 / 1e6
            scale = megabytes / (2 * source.numel() * 4 / 1e6)  # a copy reads and writes
            moving = [scale * value for value in times["copy"]]
            floor = [a + b for a, b in zip(sorted(moving), sorted(times["sampler"]), strict=True)]
            table += row(
                str(threads), label, f"{megabytes:.0f}", cell(moving), cell(times["sampler"]), cell(times["resample"]),
                ratio(times["resample"], floor),
            )  # fmt: skip
    return table


def machine() -> str:
    """Name the processor (Linux tells it in /proc/cpuinfo) and the versions."""
    listing = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", listing.read_text()) if listing.exists() else None
    processor = found.group(1) if found else platform.processor()
    return f"{processor}, {os.cpu_count()} cores, torch {torch.__version__}, torchvision {torchvision.__version__}"


def main() -> None:
    before = os.getloadavg()[0]
    same, mixed, floor = comparison(SAME_JOB, 3, WIDE + DEFAULT), comparison(WITH_MIXING, 1, WIDE), floors()
    text = (
        f"{machine()}; load average {before:.1f} before, {os.getloadavg()[0]:.1f} after.\n\n"
        f"Sampling alone (`deform_conv2d` with groups = C and weight one):\n\n{same}\n"
        f"Sampling and the 1×1 weight (`deform_conv2d` with groups = 1; its gradient included):\n\n{mixed}\n"
        f"Against the floor (1, 256, 64, 64, smooth):\n\n{floor}"
    )
    print(text)
    page = PAGE.read_text(encoding="utf-8")
    start, end = page.index(MARKS[0]) + len(MARKS[0]), page.index(MARKS[1])
    with replacing(PAGE) as temporary:
        temporary.write_text(page[:start] + text + page[end:], encoding="utf-8")


if __name__ == "__main__":
    main()
