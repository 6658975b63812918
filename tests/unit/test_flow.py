import cv2
import numpy as np
import pytest

from dimofs.flow import colour_wheel, colours, dense_inverse_search, farneback

METHODS = {
    "detect_and_track": lambda a, b: farneback(a, b, "detect_and_track"),
    "opencv": lambda a, b: farneback(a, b, "opencv"),
    "dis": dense_inverse_search,
}


def moved(dx: int, dy: int) -> tuple[np.ndarray, np.ndarray]:
    """A window that is moved over a picture, as MoSI does: what it shows moves the other way, here by (dx, dy)."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    picture = cv2.resize(noise, (192, 192), interpolation=cv2.INTER_CUBIC)
    return picture[32:160, 32:160], picture[32 - dy : 160 - dy, 32 - dx : 160 - dx]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shift", [(4, -3), (-2, 5)])
def test_flow_points_from_frame_a_to_frame_b_in_pixels(method, shift):
    flow = METHODS[method](*moved(*shift))
    assert flow.shape == (128, 128, 2)
    assert flow.dtype == np.float32
    np.testing.assert_allclose(np.median(flow[20:-20, 20:-20], (0, 1)), shift, atol=0.2)


@pytest.mark.parametrize("method", METHODS)
def test_no_motion_gives_no_flow(method):
    frame, _ = moved(0, 0)
    flow = METHODS[method](frame, frame)
    assert np.abs(flow[16:-16, 16:-16]).max() < 1e-3  # at the border Farneback itself gives a tenth


def test_hues_are_directions_and_white_is_rest():
    field = np.array([[(0, 0), (10, 0), (0, 10), (-10, 0), (0, -10), (5, 0)]], np.float32)
    rest, right, down, left, up, slow = colours(field, 10)[0].astype(int)
    assert rest.tolist() == [255, 255, 255]
    assert right.tolist() == [255, 0, 0]
    assert left.tolist() == [0, 255, 255]
    assert down.argmax() == 1
    assert up.argmax() == 2
    assert slow.tolist() == [255, 128, 128]


def test_beyond_the_largest_length_colours_stay():
    field = np.array([[(10, 10), (100, 100)]], np.float32)
    near, far = colours(field, 5)[0]
    np.testing.assert_array_equal(near, far)


def test_the_wheel_is_the_key_of_the_colours():
    wheel = colour_wheel(101)
    assert wheel[50, 50].min() >= 250
    assert wheel[0, 0].tolist() == [255, 255, 255]
    field = np.array([[(98 / 101, 0), (0, 98 / 101)]], np.float32)
    np.testing.assert_allclose(wheel[[50, 99], [99, 50]], colours(field, 1.0)[0], atol=2)
