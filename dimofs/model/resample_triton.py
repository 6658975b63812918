"""The resampling as two Triton kernels for a GPU; `dimofs.model.resample` holds the contract and calls this.

Forward, each position reads its displacement and four neighbours and writes its sample; the sampling positions live in
registers alone. Backward, one kernel does both gradients from one reading of the operands. The offsets' gradient is a
gather like the sample. The features' gradient is a scatter: any number of positions may read a pixel from anywhere, so
to gather it would take a search or a sort of the whole plane. The kernel adds with atomics, in float32 (float64 if an
argument is), whatever the features' dtype; the order of such a sum, and so its last bits, vary from call to call.

Importing this module imports Triton, which takes a second; the CPU has no use for it.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

#: Rows and columns of a plane that one program handles. Its warps lie along rows: neighbours in a warp then read, and
#: add to, neighbours in memory.
TILE = (16, 32)

#: Planes that one launch handles: the third side of a grid ends here.
PLANES = 2**16 - 1

#: Triton's names of the types that positions and sums are in.
COMPUTE = {torch.float32: tl.float32, torch.float64: tl.float64}

#: Triton would compile a kernel of its own for numbers that 16 divides, and give a thread neighbours instead of a warp.
NUMBERS = ["first", "height", "width"]


@triton.jit
def _tile(first, height, width, rows: tl.constexpr, columns: tl.constexpr):
    """Give this program's plane and, of its positions, rows (R, 1), columns (1, C) and who lies inside (R, C)."""
    plane = first + tl.program_id(2).to(tl.int64)
    row = tl.program_id(1) * rows + tl.arange(0, rows)[:, None]
    column = tl.program_id(0) * columns + tl.arange(0, columns)[None, :]
    return plane, row, column, (row < height) & (column < width)


@triton.jit
def _neighbours(displacement, area, row, column, inside, height, width, compute: tl.constexpr):
    """Find the four pixels around a sampling position.

    Returns the first one's index in its plane, whether the upper, the lower, the left and the right ones exist, and how
    far down and across the position lies between them: not-a-number where the offset is not finite. Who lies outside
    the plane has no neighbours: nothing moves it.
    """
    y = row.to(compute) + tl.load(displacement, mask=inside, other=0).to(compute)
    x = column.to(compute) + tl.load(displacement + area, mask=inside, other=0).to(compute)
    top, left = tl.floor(y), tl.floor(x)
    down, across = y - top, x - left
    # What is too far for a whole number, or no number, finds no neighbours at -2 or at the other end either.
    row = tl.minimum(tl.maximum(top, -2), height).to(tl.int32)
    column = tl.minimum(tl.maximum(left, -2), width).to(tl.int32)
    upper, lower = _within(row, height), _within(row + 1, height)
    return row * width + column, upper, lower, _within(column, width), _within(column + 1, width), down, across


@triton.jit
def _within(index, side):
    """Whether 0 <= index < side, in one comparison: what is negative is large without its sign."""
    return index.to(tl.uint32) < side.to(tl.uint32)


@triton.jit(do_not_specialize=NUMBERS)
def _forward(
    features, offsets, out, first, height, width,
    compute: tl.constexpr, rows: tl.constexpr, columns: tl.constexpr,
):  # fmt: skip
    """Sample one tile of one plane: features and out (P, H, W), offsets (P, 2, H, W)."""
    plane, row, column, inside = _tile(first, height, width, rows, columns)
    area = height * width
    start, here = plane * area, row * width + column
    corner, upper, lower, left, right, down, across = _neighbours(
        offsets + 2 * start + here, area, row, column, inside, height, width, compute
    )
    at = features + start + corner
    above = (1 - across) * tl.load(at, mask=upper & left, other=0).to(compute)
    above += across * tl.load(at + 1, mask=upper & right, other=0).to(compute)
    below = (1 - across) * tl.load(at + width, mask=lower & left, other=0).to(compute)
    below += across * tl.load(at + width + 1, mask=lower & right, other=0).to(compute)
    sample = (1 - down) * above + down * below
    tl.store(out + start + here, sample.to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=NUMBERS)
def _backward(
    features, offsets, gradient, to_features, to_offsets, first, height, width,
    compute: tl.constexpr, rows: tl.constexpr, columns: tl.constexpr,
    want_features: tl.constexpr, want_offsets: tl.constexpr,
):  # fmt: skip
    """Take the gradient (P, H, W) of one tile back.

    It is added to to_features (P, H, W), where the sums are, and written to to_offsets (P, 2, H, W).
    """
    plane, row, column, inside = _tile(first, height, width, rows, columns)
    area = height * width
    start, here = plane * area, row * width + column
    corner, upper, lower, left, right, down, across = _neighbours(
        offsets + 2 * start + here, area, row, column, inside, height, width, compute
    )
    given = tl.load(gradient + start + here, mask=inside, other=0).to(compute)
    if want_offsets:
        at = features + start + corner
        upper_left = tl.load(at, mask=upper & left, other=0).to(compute)
        upper_right = tl.load(at + 1, mask=upper & right, other=0).to(compute)
        lower_left = tl.load(at + width, mask=lower & left, other=0).to(compute)
        lower_right = tl.load(at + width + 1, mask=lower & right, other=0).to(compute)
        to_y = (1 - across) * (lower_left - upper_left) + across * (lower_right - upper_right)
        to_x = (1 - down) * (upper_right - upper_left) + down * (lower_right - lower_left)
        out = to_offsets + 2 * start + here
        tl.store(out, (given * to_y).to(out.dtype.element_ty), mask=inside)
        tl.store(out + area, (given * to_x).to(out.dtype.element_ty), mask=inside)
    if want_features:
        sums = to_features + start + corner
        above, below = given * (1 - down), given * down
        tl.atomic_add(sums, above * (1 - across), mask=upper & left, sem="relaxed")
        tl.atomic_add(sums + 1, above * across, mask=upper & right, sem="relaxed")
        tl.atomic_add(sums + width, below * (1 - across), mask=lower & left, sem="relaxed")
        tl.atomic_add(sums + width + 1, below * across, mask=lower & right, sem="relaxed")


def prepare() -> None:
    """Have Triton get ready for the GPU; the first time on a machine it builds its launcher.

    That takes a C compiler and Python's headers; raises whatever Triton raises where they are missing.
    """
    triton.runtime.driver.active.get_current_device()


class FusedResample(torch.autograd.Function):
    """What `dimofs.model.resample` promises, for arguments that it has checked. Layouts other than NCHW are copied."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, offsets: Tensor) -> Tensor:
        """Sample; see `dimofs.model.resample.resample`."""
        ctx.save_for_backward(features, offsets)
        features, offsets = features.contiguous(), offsets.contiguous()
        resampled = torch.empty_like(features)
        _launch(_forward, features, offsets, (resampled,))
        return resampled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Give the gradients of both arguments, or None for one that wants none."""
        features, offsets = (tensor.contiguous() for tensor in ctx.saved_tensors)
        wanted = ctx.needs_input_grad
        sums = torch.zeros_like(features, dtype=_compute(features, offsets)) if wanted[0] else features
        to_offsets = torch.empty_like(offsets) if wanted[1] else offsets
        operands = (gradient.contiguous(), sums, to_offsets)
        _launch(_backward, features, offsets, operands, want_features=wanted[0], want_offsets=wanted[1])
        return sums.to(features.dtype) if wanted[0] else None, to_offsets if wanted[1] else None


def _launch(kernel: Any, features: Tensor, offsets: Tensor, others: tuple[Tensor, ...], **wanted: bool) -> None:
    """Run a kernel over all tiles of all planes, on the tensors' own device."""
    batch, channels, height, width = features.shape
    rows, columns = TILE
    across, down = triton.cdiv(width, columns), triton.cdiv(height, rows)
    compute = COMPUTE[_compute(features, offsets)]
    with torch.cuda.device_of(features):
        for first in range(0, batch * channels, PLANES):
            kernel[across, down, min(PLANES, batch * channels - first)](
                features, offsets, *others, first, height, width,
                compute=compute, rows=rows, columns=columns, **wanted, num_warps=4, enable_fp_fusion=True,
            )  # fmt: skip


def _compute(features: Tensor, offsets: Tensor) -> torch.dtype:
    return torch.promote_types(torch.promote_types(features.dtype, offsets.dtype), torch.float32)
