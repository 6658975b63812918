"""Heat maps of joints, enlarged by two products of matrices, beside torchvision's predictor, which they equal: RoIs of
a training step and of a batch of tests, forward and backward, one thread.

Run: OMP_NUM_THREADS=1 python benchmarks/heat_maps.py
"""

import statistics
import time

import torch
from torch import Tensor, nn
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNPredictor

from dimofs.model.heads import KEYPOINTS, KeypointPredictor

ROUNDS = 15
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
    print("| RoIs | dtype | torchvision forward, backward, ms | products forward, backward, ms | times as fast |")
    print("| --- | --- | --- | --- | --- |")
    for rois in (32, 320):
        for dtype in (torch.bfloat16, torch.float32):
            x = torch.randn(rois, CHANNELS, SIDE, SIDE, dtype=dtype, requires_grad=True)
            places = torch.randint(0, (4 * SIDE) ** 2, (rois * KEYPOINTS,))
            rounds = [[timed(predictor, x, places, dtype) for predictor in predictors] for _ in range(ROUNDS)]
            theirs, ours = (
                [statistics.median(turn[form][way] for turn in rounds) for way in (0, 1)] for form in (0, 1)
            )
            cells = (f"{theirs[0]:.1f}, {theirs[1]:.1f}", f"{ours[0]:.1f}, {ours[1]:.1f}")
            print(f"| {rois} | {str(dtype)[6:]} | {' | '.join(cells)} | {sum(theirs) / sum(ours):.1f} |")


if __name__ == "__main__":
    main()
