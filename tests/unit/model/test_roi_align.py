"""RoIAlign by matrix products against torchvision's."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops import roi_align as align
from torchvision.ops.poolers import LevelMapper

from dimofs.model import roi_align
from dimofs.model.roi_align import ProductRoIAlign, sample_weights

LEVELS = ["0", "1", "2", "3"]
SIDE = 128


def pyramid(images: int, channels: int = 3, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(images, channels, SIDE // stride, SIDE // stride, generator=generator, dtype=torch.float64)
        .to(dtype)
        .requires_grad_()
        for name, stride in zip(LEVELS, (4, 8, 16, 32), strict=True)
    }


def random_boxes(counts: list[int], dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Draw boxes of 1 to 900 pixels, many of which leave the frame, of all four levels."""
    generator = torch.Generator().manual_seed(1)
    boxes = []
    for count in counts:
        centres = (1.4 * torch.rand(count, 2, generator=generator, dtype=torch.float64) - 0.2) * SIDE
        size, aspect = torch.rand(2, count, 1, generator=generator, dtype=torch.float64)
        sides = torch.exp(6.5 * size + (aspect - 0.5) * torch.tensor([0.6, -0.6], dtype=torch.float64))
        boxes.append(torch.cat([centres - sides / 2, centres + sides / 2], dim=1).to(dtype))
    return boxes


def pooled_with_gradients(
    pool: MultiScaleRoIAlign, maps: dict[str, Tensor], boxes: list[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    pooled = pool(maps, boxes, [(SIDE, SIDE)] * len(boxes))
    weights = torch.cos(torch.arange(pooled.numel(), dtype=pooled.dtype)).view_as(pooled)
    gradients = torch.autograd.grad((pooled * weights).sum(), list(maps.values()), materialize_grads=True)
    return pooled.detach(), list(gradients)


@pytest.mark.parametrize(("bins", "samples"), [(7, 2), (14, 2), (1, 1), (3, 4)])
@pytest.mark.parametrize("counts", [[40, 0, 25], [0, 1]])
def test_equals_torchvision(bins: int, samples: int, counts: list[int]) -> None:
    maps, boxes = pyramid(len(counts)), random_boxes(counts)
    ours, our_gradients = pooled_with_gradients(ProductRoIAlign(LEVELS, bins, samples), maps, boxes)
    theirs, their_gradients = pooled_with_gradients(MultiScaleRoIAlign(LEVELS, bins, samples), maps, boxes)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    for our, their in zip(our_gradients, their_gradients, strict=True):
        torch.testing.assert_close(our, their, rtol=0, atol=1e-10)


def test_the_boxes_of_the_tests_reach_every_level() -> None:
    assert set(LevelMapper(2, 5)(random_boxes([40, 0, 25])).tolist()) == {0, 1, 2, 3}


def test_layouts_and_dtypes_of_training() -> None:
    boxes = random_boxes([10, 10], torch.float32)
    wide = {name: level.detach() for name, level in pyramid(2).items()}
    narrow = {name: level.bfloat16().contiguous(memory_format=torch.channels_last) for name, level in wide.items()}
    pool = ProductRoIAlign(LEVELS, 7, 2)
    pooled = pool(narrow, boxes, [(SIDE, SIDE)] * 2)
    assert pooled.dtype == torch.bfloat16
    assert pooled.is_contiguous()
    exact = pool({name: level.float() for name, level in wide.items()}, boxes, [(SIDE, SIDE)] * 2)
    torch.testing.assert_close(pooled.float(), exact, rtol=0.02, atol=0.03)


def test_boxes_of_half_precision_are_not_placed_in_it() -> None:
    maps, boxes = {name: level.detach().float() for name, level in pyramid(2).items()}, random_boxes([20, 20])
    half = [part.bfloat16() for part in boxes]
    pool = ProductRoIAlign(LEVELS, 7, 2)
    exact = pool(maps, [part.float() for part in half], [(SIDE, SIDE)] * 2)
    torch.testing.assert_close(pool(maps, half, [(SIDE, SIDE)] * 2), exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize("products", [True, False])
def test_strides_are_known_whatever_the_padding(monkeypatch: pytest.MonkeyPatch, products: bool) -> None:
    """66 rows padded to 96 look like another stride."""
    monkeypatch.setattr(roi_align, "PRODUCT_CELLS", 64 * 64 if products else 0)
    maps = {
        name: level[:, :, : 24 // 2**number, : 32 // 2**number]
        for number, (name, level) in enumerate(pyramid(1).items())
    }
    boxes = [torch.tensor([[10.0, 12.0, 50.0, 40.0]], dtype=torch.float64)]
    pooled = ProductRoIAlign(LEVELS, 7, 2)(maps, boxes, [(66, 128)])
    known = MultiScaleRoIAlign(LEVELS, 7, 2)(maps, boxes, [(96, 128)])
    torch.testing.assert_close(pooled, known, rtol=0, atol=1e-10)


def test_no_boxes_at_all() -> None:
    pooled = ProductRoIAlign(LEVELS, 7, 2)(pyramid(2), [torch.zeros(0, 4)] * 2, [(SIDE, SIDE)] * 2)
    assert pooled.shape == (0, 3, 7, 7)


def test_levels_that_no_box_reads_get_a_gradient_of_zero() -> None:
    maps = pyramid(1)
    ProductRoIAlign(LEVELS, 7, 2)(maps, [torch.tensor([[10.0, 10.0, 30.0, 40.0]])], [(SIDE, SIDE)]).sum().backward()
    assert maps["0"].grad is not None
    assert maps["0"].grad.any()
    assert all(maps[name].grad is not None and not maps[name].grad.any() for name in LEVELS[1:])


def test_large_maps_are_left_to_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    maps, boxes = pyramid(1), random_boxes([5])
    by_products = ProductRoIAlign(LEVELS, 7, 2)(maps, boxes, [(SIDE, SIDE)])
    monkeypatch.setattr(roi_align, "PRODUCT_CELLS", 32 * 32 - 1)
    monkeypatch.delattr(ProductRoIAlign, "_pool")
    torch.testing.assert_close(
        ProductRoIAlign(LEVELS, 7, 2)(maps, boxes, [(SIDE, SIDE)]), by_products, rtol=0, atol=1e-10
    )


@given(
    low=st.floats(-20, 20),
    length=st.floats(0, 40),
    cells=st.integers(1, 12),
    bins=st.integers(1, 5),
    samples=st.integers(1, 3),
)
def test_weights_of_an_axis(low: float, length: float, cells: int, bins: int, samples: int) -> None:
    """On a map of one row the weights alone decide what is pooled."""
    start, end = torch.tensor([low], dtype=torch.float64), torch.tensor([low + length], dtype=torch.float64)
    weights = sample_weights(start, end, cells, bins, samples)
    assert weights.shape == (1, bins, cells)
    assert (weights >= 0).all()
    assert (weights.sum(-1) <= 1 + 1e-12).all()
    column = torch.linspace(-1, 2, cells, dtype=torch.float64).square()
    picture = column.view(1, 1, cells, 1).expand(1, 1, cells, 2)
    box = torch.tensor([[0, 0, low, 1, low + length]], dtype=torch.float64)
    expected = align(picture, box, (bins, 1), sampling_ratio=samples)
    torch.testing.assert_close(weights[0] @ column, expected[0, 0, :, 0], rtol=0, atol=1e-9)
