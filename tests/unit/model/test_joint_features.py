import numpy as np
import pytest
import torch

from dimofs.model.backbone import STRIDES
from dimofs.model.fields import joint_features, motion_fields

CHANNELS, HEIGHT, WIDTH = 3, 64, 96


def at_points(offsets, points):
    """The features of points (P, 2) of one pair."""
    return joint_features(motion_fields([level[None] for level in offsets]), points[None])[0]


@pytest.fixture
def offsets():
    torch.manual_seed(0)
    return [torch.randn(2 * CHANNELS, HEIGHT // stride, WIDTH // stride) for stride in STRIDES]


def centre(row, column, stride):
    """Where the centre of a feature pixel lies in the frame."""
    return [stride * (column + 0.5) - 0.5, stride * (row + 0.5) - 0.5]


def test_at_the_centre_of_a_feature_pixel_its_offsets_stand_as_dx_dy_in_pixels_of_the_frame(offsets):
    for scale, stride in enumerate(STRIDES):
        row, column = HEIGHT // stride - 1, WIDTH // stride // 2
        read = at_points(offsets, torch.tensor([centre(row, column, stride)]))[0]
        of_scale = read.view(len(STRIDES), CHANNELS, 2)[scale]
        for channel in range(CHANNELS):
            dy, dx = stride * offsets[scale][2 * channel : 2 * channel + 2, row, column]
            np.testing.assert_allclose(of_scale[channel], [dx, dy], rtol=1e-5)


def test_between_centres_it_is_bilinear(offsets):
    corners = torch.tensor([centre(4, 7, 4), centre(4, 8, 4), centre(5, 7, 4), centre(5, 8, 4)])
    weights = torch.tensor([0.75 * 0.5, 0.25 * 0.5, 0.75 * 0.5, 0.25 * 0.5])
    point = (weights[:, None] * corners).sum(0)
    expected = (weights[:, None] * at_points(offsets, corners)[:, : 2 * CHANNELS]).sum(0)
    np.testing.assert_allclose(at_points(offsets, point[None])[0, : 2 * CHANNELS], expected, rtol=1e-4, atol=1e-5)


def test_outside_the_frame_it_is_as_on_the_border(offsets):
    read = at_points(offsets, torch.tensor([[-50.0, 20.0], [0.0, 20.0], [95.0, 300.0], [95.0, 63.0]]))
    assert torch.equal(read[0], read[1])
    assert torch.equal(read[2], read[3])


def test_no_point(offsets):
    assert at_points(offsets, torch.zeros(0, 2)).shape == (0, 4 * 2 * CHANNELS)
