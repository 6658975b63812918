"""RoIAlign by matrix products beside torchvision's, which it equals: sizes of the default scenario, of the street's
windows and of larger frames, forward and backward, one thread.

Run: OMP_NUM_THREADS=1 python benchmarks/roi_align.py
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign

from dimofs.model import roi_align
from dimofs.model.backbone import STRIDES
from dimofs.model.roi_align import ProductRoIAlign

LEVELS = ["0", "1", "2", "3"]
ROUNDS = 15

#: Runs once, forward and backward, and gives the milliseconds of both.
Way = Callable[[], tuple[float, float]]

#: What it is, images, channels, side of the frame, RoIs an image, bins.
CASES = (
    ("boxes, default", 8, 64, 128, 16, 7),
    ("joints, default", 8, 64, 128, 4, 14),
    ("offsets, localiser", 16, 128, 128, 16, 7),
    ("boxes, street", 3, 64, 256, 32, 7),
    ("boxes, larger frames", 1, 64, 512, 32, 7),
)


def timed(pool: MultiScaleRoIAlign, maps: list[Tensor], boxes: list[Tensor], side: int) -> tuple[float, float]:
    """Milliseconds of one pass forward and one backward; torchvision's op takes float32, as under autocast."""
    start = time.perf_counter()
    ready = maps if isinstance(pool, ProductRoIAlign) else [level.float() for level in maps]
    pooled = pool(dict(zip(LEVELS, ready, strict=True)), boxes, [(side, side)] * len(boxes))
    forward = time.perf_counter() - start
    start = time.perf_counter()
    torch.autograd.grad(pooled.sum(), maps, allow_unused=True)
    return 1e3 * forward, 1e3 * (time.perf_counter() - start)


def header(cases: str) -> str:
    """The first two lines of a table of `row`."""
    times = "torchvision forward, backward, ms | products forward, backward, ms | times as fast"
    return f"| {cases} | dtype | {times} |\n| --- | --- | --- | --- | --- |"


def row(case: str, dtype: torch.dtype, theirs: Way, ours: Way) -> str:
    """A row of the table: torchvision's way and ours in turns, medians over the rounds."""
    rounds = [[way() for way in (theirs, ours)] for _ in range(ROUNDS)]
    medians = [[statistics.median(turn[way][part] for turn in rounds) for part in (0, 1)] for way in (0, 1)]
    cells = " | ".join(f"{forward:.1f}, {backward:.1f}" for forward, backward in medians)
    return f"| {case} | {str(dtype)[6:]} | {cells} | {sum(medians[0]) / sum(medians[1]):.1f} |"


def main() -> None:
    torch.set_num_threads(1)
    roi_align.PRODUCT_CELLS = 10**9  # products at every size
    print(header("maps"))
    for name, images, channels, side, rois, bins in CASES:
        centres = side * torch.rand(images, rois, 2)
        sides = side * (0.1 + 0.7 * torch.rand(images, rois, 2))
        boxes = list(torch.cat([centres - sides / 2, centres + sides / 2], dim=-1))
        for dtype in (torch.bfloat16, torch.float32):
            maps = [
                torch.randn(images, channels, side // stride, side // stride)
                .to(dtype, memory_format=torch.channels_last)
                .requires_grad_()
                for stride in STRIDES
            ]
            pools = (MultiScaleRoIAlign(LEVELS, bins, 2), ProductRoIAlign(LEVELS, bins, 2))
            print(row(name, dtype, *(partial(timed, pool, maps, boxes, side) for pool in pools)))


if __name__ == "__main__":
    main()
