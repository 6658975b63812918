"""Heat maps of joints, enlarged by two products of matrices, beside torchvision's predictor, which they equal: RoIs of
a training step and of a batch of tests, forward and backward, one thread.

Run: OMP_NUM_THREADS=1 python benchmarks/heat_maps.py
"""

import time
from functools import partial

import torch
from roi_align import header, row
from torch import Tensor, nn
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNPredictor

from dimofs.model.heads import KEYPOINTS, KeypointPredictor

CHANNELS = 64
SIDE = 14  #: cells of a RoI


def timed(predictor: nn.Module, x: Tensor, places: Tensor, dtype: torch.dtype) -> tuple[float, float]:
    """Milliseconds of one pass forward and one backward from the loss over places (R · KEYPOINTS,)."""
    start = time.perf_counter()
    with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
        maps = predictor(x)
    forward = time.perf_counter() - start
    loss = nn.functional.cross_entropy(maps.view(len(places), -1), places)
    start = time.perf_counter()
    torch.autograd.grad(loss, [x, predictor.kps_score_lowres.weight])
    return 1e3 * forward, 1e3 * (time.perf_counter() - start)


def main() -> None:
    torch.set_num_threads(1)
    predictors = (KeypointRCNNPredictor(CHANNELS, KEYPOINTS), KeypointPredictor(CHANNELS, KEYPOINTS))
    print(header("RoIs"))
    for rois in (32, 320):
        for dtype in (torch.bfloat16, torch.float32):
            x = torch.randn(rois, CHANNELS, SIDE, SIDE, dtype=dtype, requires_grad=True)
            places = torch.randint(0, (4 * SIDE) ** 2, (rois * KEYPOINTS,))
            print(row(str(rois), dtype, *(partial(timed, predictor, x, places, dtype) for predictor in predictors)))


if __name__ == "__main__":
    main()
