import cv2
import numpy as np
import pytest
import torch

from dimofs.actions.flow import farneback, flow_levels
from dimofs.config import Farneback


def moved(dx: int, dy: int) -> tuple[np.ndarray, np.ndarray]:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    picture = cv2.resize(noise, (192, 192), interpolation=cv2.INTER_CUBIC)
    return picture[32:160, 32:160], picture[32 - dy : 160 - dy, 32 - dx : 160 - dx]


@pytest.mark.parametrize("settings", ["detect_and_track", "opencv"])
def test_flow_points_from_frame_a_to_frame_b_in_pixels(settings):
    flow = farneback(*moved(4, -3), Farneback(settings=settings))
    assert flow.shape == (128, 128, 2)
    assert flow.dtype == np.float32
    np.testing.assert_allclose(np.median(flow[20:-20, 20:-20], (0, 1)), (4, -3), atol=0.2)


def test_levels_are_in_feature_pixels():
    frame_a, frame_b = (torch.from_numpy(frame.copy()).permute(2, 0, 1)[None] for frame in moved(8, 0))
    levels = flow_levels(frame_a, frame_b, Farneback(settings="opencv"))
    assert [tuple(level.shape) for level in levels] == [(1, 2, side, side) for side in (32, 16, 8, 4)]
    for level, stride in zip(levels[:2], (4, 8), strict=True):
        assert level[0, 0].median().item() == pytest.approx(8 / stride, rel=0.1)
        assert level[0, 1].median().item() == pytest.approx(0, abs=0.1)


def test_no_motion_gives_no_flow():
    frame, _ = moved(0, 0)
    flow = farneback(frame, frame, Farneback(settings="detect_and_track"))
    assert np.abs(flow[16:-16, 16:-16]).max() < 1e-3  # at the border Farneback itself gives a tenth
