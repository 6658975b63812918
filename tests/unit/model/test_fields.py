"""Signs, orders and units: from offsets in feature pixels to displacements in pixels."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dimofs.model.backbone import STRIDES
from dimofs.model.fields import joint_features, motion_fields, read_out, saliency
from dimofs.model.offsets import Offsets
from dimofs.model.resample import resample
from dimofs.motion.read_out import fit

CHANNELS = 2


def random_fields(batch: int = 2, channels: int = 3, side: int = 64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(batch, channels, 2, side // s, side // s, generator=generator) for s in STRIDES]


def test_offsets_become_x_y_in_pixels() -> None:
    offsets = [torch.zeros(1, 4, 64 // stride, 64 // stride) for stride in STRIDES]
    for level in offsets:
        level[:, 2], level[:, 3] = 3.0, -1.0  # (dy, dx) of channel 1
    for field, stride in zip(motion_fields(offsets), STRIDES, strict=True):
        assert field.shape == (1, 2, 2, 64 // stride, 64 // stride)
        assert (field[:, 0] == 0).all()
        assert (field[:, 1, 0] == -stride).all()
        assert (field[:, 1, 1] == 3 * stride).all()


def test_a_joint_has_two_numbers_for_each_channel_and_scale() -> None:
    fields = random_fields()
    features = joint_features(fields, torch.tensor([[[1.5, 1.5]], [[5.5, 1.5]]]))
    assert features.shape == (2, 1, 4 * 3 * 2)
    # The centre of the first feature pixel of the finest scale is (1.5, 1.5), that of its right neighbour (5.5, 1.5).
    torch.testing.assert_close(features[0, 0, :6], fields[0][0, :, :, 0, 0].flatten())
    torch.testing.assert_close(features[1, 0, :6], fields[0][1, :, :, 0, 1].flatten())


def test_half_way_between_feature_pixels_is_their_mean() -> None:
    fields = random_fields()
    features = joint_features(fields, torch.full((2, 1, 2), 3.5))
    torch.testing.assert_close(features[:, 0, :6], fields[0][..., :2, :2].mean((-2, -1)).flatten(1))


def test_the_dense_read_out_is_that_of_a_joint_at_every_pixel() -> None:
    fields = random_fields()
    coefficients = torch.randn(2, 24, generator=torch.Generator().manual_seed(1))
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    everywhere = torch.stack([x, y], -1).reshape(1, -1, 2).expand(2, -1, -1)
    expected = joint_features(fields, everywhere) @ coefficients.T
    torch.testing.assert_close(read_out(fields, coefficients).flatten(2).mT, expected, atol=1e-4, rtol=1e-4)


def test_opposite_channels_cancel_in_one_saliency_alone() -> None:
    fields = [torch.zeros(1, 2, 2, 64 // stride, 64 // stride) for stride in STRIDES]
    fields[1][:, 0, 0], fields[1][:, 1, 0] = 5.0, -5.0
    fields[2][:, 0, 1] = 3.0
    of_sum, of_magnitudes = saliency(fields)
    assert of_sum.shape == of_magnitudes.shape == (1, 64, 64)
    torch.testing.assert_close(of_sum, torch.full((1, 64, 64), 3.0))
    torch.testing.assert_close(of_magnitudes, torch.full((1, 64, 64), 13.0))


# ---- a translation of known size, as in MoSI: a window moves over a picture, and what it shows moves the other way

SIDE, CENTRE = 256, 128


def window_features(shift: tuple[float, float], widths: tuple[int, int]) -> list[Tensor]:
    """Features (1, 2, …) of a window that has moved by −shift over two blobs, which were in its centre."""
    x, y = np.arange(SIDE) - CENTRE - shift[0], np.arange(SIDE)[:, None] - CENTRE - shift[1]
    picture = np.stack([np.exp(-(x**2 + y**2) / (2 * width**2)) for width in widths]).astype(np.float32)
    return [F.avg_pool2d(torch.from_numpy(picture)[None], stride) for stride in STRIDES]


@pytest.mark.parametrize("shift", [(6, 0), (0, -9), (-12, 7)])
def test_offsets_that_undo_a_translation_are_its_size_in_pixels(shift: tuple[float, float]) -> None:
    """Found at every scale by descent alone: the offsets with which Frame B, resampled, looks like Frame A."""
    still, moved = window_features((0, 0), (40, 40)), window_features(shift, (40, 40))
    constant = torch.zeros(4, 2, requires_grad=True)
    optimizer = torch.optim.Adam([constant], lr=0.2)
    for step in range(120):
        optimizer.param_groups[0]["lr"] = 0.2 * (1 - step / 120)
        levels = [
            one.repeat(CHANNELS).view(1, -1, 1, 1).expand(-1, -1, *level.shape[2:])
            for one, level in zip(constant, still, strict=True)
        ]
        found = map(resample, moved, levels)
        loss = sum(((one - other) ** 2).sum() for one, other in zip(found, still, strict=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    features = joint_features(motion_fields([level.detach() for level in levels]), torch.full((1, 1, 2), 99.0))
    expected = np.tile(np.array(shift, np.float32), (4 * CHANNELS, 1))
    np.testing.assert_allclose(features.view(-1, 2).numpy(), expected, atol=1.0)


@pytest.fixture(scope="module")
def learned() -> Offsets:
    """Offset predictors that learned by the paper's task alone: resampled with them, Frame B must look like Frame A."""
    torch.manual_seed(0)
    offsets = Offsets(CHANNELS)
    optimizer = torch.optim.Adam(offsets.parameters(), lr=0.1)
    generator = np.random.default_rng(0)
    still = window_features((0, 0), (8, 16))
    for _ in range(100):
        moved = window_features(tuple(generator.uniform(-6, 6, 2)), (8, 16))
        found = map(resample, moved, offsets(still, moved))
        loss = sum(((one - other) ** 2).sum() for one, other in zip(found, still, strict=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return offsets


def fields_after(offsets: Offsets, shift: tuple[float, float]) -> list[Tensor]:
    with torch.no_grad():
        return motion_fields(offsets(window_features((0, 0), (8, 16)), window_features(shift, (8, 16))))


@pytest.mark.parametrize("shift", [(4, 0), (-4, 0), (0, 4), (0, -4), (3, -5)])
def test_learned_offsets_point_from_a_to_b(learned: Offsets, shift: tuple[float, float]) -> None:
    near = slice((CENTRE - 16) // STRIDES[0], (CENTRE + 16) // STRIDES[0])
    narrow = fields_after(learned, shift)[0][0, 0, :, near, near].mean((1, 2)).numpy()
    cosine = narrow @ np.array(shift) / np.hypot(*narrow) / np.hypot(*shift)
    assert cosine > 0.95
    assert 0.3 < np.hypot(*narrow) / np.hypot(*shift) < 1.2


def test_the_read_out_of_a_translation_has_its_size_and_sign(learned: Offsets) -> None:
    """Fitted on some shifts, it gives others in pixels, and nothing where nothing moves."""
    known = [(float(dx), float(dy)) for dx in (-6, -2, 2, 6) for dy in (-6, -2, 2, 6)]
    middle = torch.full((1, 1, 2), float(CENTRE))
    features = np.concatenate([joint_features(fields_after(learned, shift), middle)[0].numpy() for shift in known])
    coefficients = fit(features, np.array(known, np.float32), np.arange(len(known)) % 4).coefficients
    for shift in [(4, -3), (-5, 1), (0, 5)]:
        dense = read_out(fields_after(learned, shift), coefficients)[0, :, CENTRE, CENTRE]
        np.testing.assert_allclose(dense.numpy(), shift, atol=1)
    assert (read_out(fields_after(learned, (0, 0)), coefficients) == 0).all()


def test_what_moves_is_salient_and_what_rests_is_not(learned: Offsets) -> None:
    near = slice(CENTRE - 8, CENTRE + 8)
    for values in saliency(fields_after(learned, (5, 2))):
        assert values[0, near, near].mean() > 1
        assert values[0, :16, :16].max() < 1e-3
    assert all((values == 0).all() for values in saliency(fields_after(learned, (0, 0))))
