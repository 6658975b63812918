import cv2
import numpy as np
import pytest
import torch

from dimofs.actions.flow import flow_levels
from dimofs.config import Farneback


def moved(dx: int, dy: int) -> tuple[np.ndarray, np.ndarray]:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    picture = cv2.resize(noise, (192, 192), interpolation=cv2.INTER_CUBIC)
    return picture[32:160, 32:160], picture[32 - dy : 160 - dy, 32 - dx : 160 - dx]


def test_levels_are_in_feature_pixels():
    frame_a, frame_b = (torch.from_numpy(frame.copy()).permute(2, 0, 1)[None] for frame in moved(8, 0))
    levels = flow_levels(frame_a, frame_b, Farneback(settings="opencv"))
    assert [tuple(level.shape) for level in levels] == [(1, 2, side, side) for side in (32, 16, 8, 4)]
    for level, stride in zip(levels[:2], (4, 8), strict=True):
        assert level[0, 0].median().item() == pytest.approx(8 / stride, rel=0.1)
        assert level[0, 1].median().item() == pytest.approx(0, abs=0.1)
