"""The resampling on a GPU against torchvision's deformable convolution, and against the copy bandwidth of the card.

One run, inputs random: the finest scale of an 800×1333 frame at the paper's width. Every round calls each op once, in a
new order, with a cold cache. Run: python benchmarks/gpu/resample.py
"""

import random
import statistics
import time
from collections.abc import Callable

import torch
import torchvision
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.ops import deform_conv2d

from dimofs.model.resample import resample

#: (N, C, H, W) of P2: 800×1333 pixels, padded to 800×1344, at stride 4.
SHAPE = (1, 256, 200, 336)

SPREAD = 2.0  # standard deviation of a displacement, feature pixels

#: Tensors of the features' size that must move: features, two offsets and the result; and for the backward features,
#: offsets and the result's gradient once more, and the gradients of features and offsets.
FORWARD, BACKWARD = 4, 7

COLD = 2**28  # floats written before each call: more than any cache, and time for the call to be queued behind

Op = Callable[[Tensor, Tensor], Tensor]


def deformable(features: Tensor, offsets: Tensor) -> Tensor:
    """The same job: C groups of one channel, weight one."""
    return deform_conv2d(features, offsets, features.new_ones((features.shape[1], 1, 1, 1)))


OPS: dict[str, Op] = {"deform_conv2d": deformable, "resample": resample}


def operands(
    shape: tuple[int, int, int, int], kind: str, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, ...]:
    """Draw features, offsets (a field that bends over a quarter of the picture, or white noise) and a gradient."""
    batch, channels, height, width = shape
    torch.manual_seed(0)
    if kind == "smooth":
        coarse = torch.randn(batch, 2 * channels, 4, 4, device=device)
        offsets = interpolate(coarse, (height, width), mode="bicubic")
        offsets = SPREAD * offsets / offsets.std()
    else:
        offsets = SPREAD * torch.randn(batch, 2 * channels, height, width, device=device)
    features, gradient = (torch.randn(shape, device=device) for _ in range(2))
    return tuple(tensor.to(dtype) for tensor in (features, offsets, gradient))


def forward(op: Op, tensors: tuple[Tensor, ...]) -> Callable[[], object]:
    features, offsets, _ = tensors
    return lambda: op(features, offsets)


def forward_backward(op: Op, tensors: tuple[Tensor, ...]) -> Callable[[], tuple[Tensor, ...]]:
    features, offsets = (tensor.clone().requires_grad_() for tensor in tensors[:2])
    return lambda: torch.autograd.grad(op(features, offsets), (features, offsets), tensors[2])


def milliseconds(calls: dict[str, Callable[[], object]], rounds: int, device: torch.device) -> dict[str, float]:
    """Median time of each call; they take turns, in a new order every round."""
    cold = torch.empty(COLD if device.type == "cuda" else 1, device=device)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 3):
        for name in random.sample(sorted(calls), len(calls)):
            cold.zero_()
            elapsed = timed(calls[name], device)
            if number >= 3:  # the first rounds compile and warm up
                times[name].append(elapsed)
    return {name: statistics.median(values) for name, values in times.items()}


def timed(call: Callable[[], object], device: torch.device) -> float:
    if device.type != "cuda":
        start = time.perf_counter()
        call()
        return 1e3 * (time.perf_counter() - start)
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def copy_bandwidth(device: torch.device, size: int, rounds: int) -> float:
    """Bytes a second that a copy within the device's memory reads and writes."""
    source = torch.randn(size, device=device)
    target = torch.empty_like(source)
    took = milliseconds({"copy": lambda: target.copy_(source)}, rounds, device)["copy"]
    return 2 * source.numel() * source.element_size() / (took / 1e3)


def agree(tensors: tuple[Tensor, ...]) -> None:
    """Stop where the ops that are compared do not compute the same.

    The offsets' gradient jumps at whole positions, which the two may round to either side.
    """
    torch.testing.assert_close(*(forward(op, tensors)() for op in (resample, deformable)), rtol=1e-3, atol=1e-3)
    ours, theirs = (forward_backward(op, tensors)() for op in (resample, deformable))
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-3, atol=1e-3)
    same = torch.isclose(ours[1], theirs[1], rtol=1e-3, atol=1e-3).double().mean()
    assert same > 0.999, f"{1 - same:.1%} of the offsets' gradients differ"


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def report(device: torch.device, shape: tuple[int, int, int, int], rounds: int) -> list[str]:
    """Compare the ops at all dtypes; the lines of a table."""
    bandwidth = copy_bandwidth(device, min(COLD, 64 * shape[1] * shape[2] * shape[3]), rounds)
    lines = [f"copy: {bandwidth / 1e9:.0f} GB/s", ""]
    lines.append(row("dtype", "offsets", "pass", *OPS, "times as fast", "MB that must move", "share of the copy"))
    lines.append(row(*["---"] * 8))
    for kind in ("smooth", "independent"):
        agree(operands(shape, kind, torch.float32, device))
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            tensors = operands(shape, kind, dtype, device)
            ops = {name: op for name, op in OPS.items() if takes(op, tensors)}
            for label, job, moved in (
                ("forward", forward, FORWARD),
                ("forward + backward", forward_backward, FORWARD + BACKWARD),
            ):
                took = milliseconds({name: job(op, tensors) for name, op in ops.items()}, rounds, device)
                volume = moved * tensors[0].numel() * tensors[0].element_size()
                cells = [f"{took[name]:.3f} ms" if name in took else "no such dtype" for name in OPS]
                faster = f"{took['deform_conv2d'] / took['resample']:.1f}" if "deform_conv2d" in took else ""
                share = volume / (took["resample"] / 1e3) / bandwidth
                name = str(dtype).removeprefix("torch.")
                lines.append(row(name, kind, label, *cells, faster, f"{volume / 1e6:.0f}", f"{share:.0%}"))
    return lines


def takes(op: Op, tensors: tuple[Tensor, ...]) -> bool:
    """Whether an op takes tensors of this dtype."""
    try:
        forward_backward(op, tensors)()
    except RuntimeError as error:
        if "not implemented" not in str(error).lower():
            raise
        return False
    return True


def main() -> None:
    if not torch.cuda.is_available():
        print("no CUDA device: not measured")
        return
    print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, torchvision {torchvision.__version__}; N, C, H, W"
    )
    print(f"{SHAPE}, medians of 200")
    print("\n".join(report(torch.device("cuda"), SHAPE, 200)))


if __name__ == "__main__":
    main()
