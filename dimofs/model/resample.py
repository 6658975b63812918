"""The resampling of DiMoFs (§3): Frame B's features, read where the offsets point, each channel for itself.

It is the sampling half of the paper's deformable convolution (A1: a 1×1 kernel, one offset group for each channel); the
1×1 weight that mixes the channels afterwards (A3) is a layer of its own.

On a GPU with Triton the kernels of `resample_triton` do it. Everywhere else PyTorch's grid sampler does the arithmetic,
taking each channel of each frame for a picture. The code around it keeps the operands in the processor's cache: reads
that jump after the offsets would wait for memory otherwise.
"""

import warnings
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable

#: Positions that each thread of the CPU samples at a time: features, grid and result fill 1 MB, a core's own cache.
CPU_CHUNK = 2**16

#: Positions sampled at a time on another device, in this form: enough to occupy it, few enough to bound the grid.
DEVICE_CHUNK = 2**24

#: How to sample, in the grid sampler's codes: bilinear, zeros outside, -1 and 1 at the outer edges of the outer pixels.
MODE = (0, 0, False)


def resample(features: Tensor, offsets: Tensor) -> Tensor:
    """Sample Frame B's features at the positions that the offsets of Frame A's grid point to (§3, A1, A4, A16).

    g[n, c, y, x] is the bilinear sample of features[n, c] at (y + dy, x + dx), with dy = offsets[n, 2c, y, x] and
    dx = offsets[n, 2c + 1, y, x]. An offset is thus the displacement from Frame A to Frame B: dy = 1 reads one row
    further down, and a person who moves by (dx, dy) from A to B is brought back to where Frame A shows them.

    features: (N, C, H, W), floating point, any memory layout: f_B of one scale. N may be 0.
    offsets: (N, 2C, H, W), floating point, any memory layout: feature pixels of that scale (A15; times its stride they
        are pixels of the frame), in torchvision's order with one offset group for each channel.
    Returns g: (N, C, H, W), contiguous, of the features' dtype.

    Outside the features there are zeros, and a position less than a pixel outside still takes its share of the border,
    as in `torchvision.ops.deform_conv2d`, which computes the same with C groups of weight one. Offsets of exactly zero
    return finite features exactly; an offset that is not finite returns NaN.

    Both arguments have a first derivative. Where a position is a whole number, bilinear interpolation has a kink: the
    offset's gradient is then the one towards larger coordinates. Positions and sums are in float32, or in float64 if
    an argument is; also for bfloat16 arguments, whose own steps are a quarter of a pixel or more beyond x = 32. The
    order of the sums in the features' gradient is fixed on the CPU, and not on a GPU: there its last bits may vary.

    Raises ValueError if shapes, dtypes or devices do not fit.
    """
    if features.dim() != 4 or 0 in features.shape[1:]:
        raise ValueError(f"features must be (N, C, H, W) with C, H and W ≥ 1, not {tuple(features.shape)}")
    batch, channels, height, width = features.shape
    expected = (batch, 2 * channels, height, width)
    if offsets.shape != expected:
        raise ValueError(f"offsets must be {expected}, a (dy, dx) for each channel, not {tuple(offsets.shape)}")
    if not (features.is_floating_point() and offsets.is_floating_point()):
        raise ValueError(f"features and offsets must be floating point, not {features.dtype} and {offsets.dtype}")
    if features.device != offsets.device:
        raise ValueError(f"features and offsets must share a device, not {features.device} and {offsets.device}")
    resampled: Tensor = _form(features.device).apply(features, offsets)
    return resampled


def _form(device: torch.device) -> type[Function]:
    """Choose how to compute on a device: one contract, two forms."""
    return (_fused() or _Resample) if device.type == "cuda" else _Resample


@cache
def _fused() -> type[Function] | None:
    """Load the Triton kernels on the first use of a GPU; where Triton is absent or not fit to run, say so once."""
    try:
        from dimofs.model import resample_triton

        resample_triton.prepare()
    except Exception as error:  # whatever keeps Triton from running, the portable form computes the same
        warnings.warn(f"no Triton, so the resampling is slower on this GPU: {error}", stacklevel=2)
        return None
    return resample_triton.FusedResample


class _Resample(Function):
    """The portable form.

    It saves the arguments alone: the grid, as large as the offsets, is built anew for the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, offsets: Tensor) -> Tensor:
        ctx.save_for_backward(features, offsets)
        resampled = features.new_empty(features.shape)
        for (framed, grid), out in zip(_operands(features, offsets), _chunks(resampled, 1), strict=True):
            out.copy_(torch.ops.aten.grid_sampler_2d(framed, grid, *MODE))
        return resampled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        features, offsets = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        height, width = features.shape[2:]
        for_features, for_offsets = features.new_empty(features.shape), offsets.new_empty(offsets.shape)
        outs = zip(_chunks(gradient, 1), _chunks(for_features, 1), _chunks(for_offsets, 2), strict=True)
        for (framed, grid), (given, out_features, out_offsets) in zip(_operands(features, offsets), outs, strict=True):
            to_framed, to_grid = torch.ops.aten.grid_sampler_2d_backward(
                given.to(grid.dtype), framed, grid, *MODE, wanted
            )
            if wanted[0]:
                out_features.copy_(to_framed.mT[..., :height, :width])
            if wanted[1]:
                _, pixel = _centres(height, width, grid.dtype, grid.device)
                out_offsets.copy_(to_grid.permute(0, 3, 1, 2)).mul_(pixel)
        return for_features if wanted[0] else None, for_offsets if wanted[1] else None


def _chunks(tensor: Tensor, depth: int) -> tuple[Tensor, ...]:
    """Split (N, depth * C, H, W) into runs of its N * C planes, (P, depth, H, W) each: views if it is contiguous."""
    batch, channels, height, width = tensor.shape
    positions = CPU_CHUNK * torch.get_num_threads() if tensor.device.type == "cpu" else DEVICE_CHUNK
    planes = tensor.reshape(batch * channels // depth, depth, height, width)
    return planes.split(max(1, positions // (height * width)))


def _operands(features: Tensor, offsets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Prepare what the grid sampler takes, chunk by chunk: framed features (P, 1, W', H') and grid (P, H, W, 2).

    The features stand in a frame of zeros whose sides H' and W' are powers of two, and the grid's positions are
    fractions of that frame; thanks to the powers of two the sampler turns them back into whole pixels without rounding.
    It wants (x, y). Our (y, x) are that for the transposed picture, and transposing is free where swapping is not.
    """
    height, width = features.shape[2:]
    dtype = torch.promote_types(torch.promote_types(features.dtype, offsets.dtype), torch.float32)
    centres, pixel = _centres(height, width, dtype, features.device)
    margin = (0, _frame(width) - width, 0, _frame(height) - height)
    for picture, displacement in zip(_chunks(features, 1), _chunks(offsets, 2), strict=True):
        framed = torch.constant_pad_nd(picture.to(dtype), margin)  # a copy in any case, and so in the cache
        yield framed.mT, torch.addcmul(centres, displacement, pixel).permute(0, 2, 3, 1)


def _frame(side: int) -> int:
    """Round a side up to a power of two."""
    return 1 << (side - 1).bit_length()


@lru_cache(maxsize=64)
def _centres(height: int, width: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Compute, as fractions of the frame, the pixels' centres (y, x), (2, H, W), and a pixel's sides, (2, 1, 1)."""
    rows, columns = _frame(height), _frame(width)
    y = (2 * torch.arange(height, dtype=dtype, device=device) + 1) / rows - 1
    x = (2 * torch.arange(width, dtype=dtype, device=device) + 1) / columns - 1
    pixel = torch.tensor([2 / rows, 2 / columns], dtype=dtype, device=device)
    return torch.stack(torch.meshgrid(y, x, indexing="ij")), pixel.view(2, 1, 1)
