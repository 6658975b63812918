"""The resampling against torchvision's deformable convolution, and the promises of its docstring one by one.

What is marked so runs twice: for the portable form, and for the Triton kernels under Triton's interpreter, which needs
no GPU but takes milliseconds for every plane.
"""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import deform_conv2d

from dimofs.model import resample as module
from dimofs.model.resample import resample

KERNELS = Path(module.__file__).with_name("resample_triton.py")
SHAPES = [(2, 3, 8, 16), (1, 5, 7, 9), (3, 2, 1, 6), (2, 4, 5, 1), (1, 1, 1, 1), (1, 2, 33, 20)]


@pytest.fixture(scope="session")
def kernels() -> ModuleType:
    """A second copy of the kernels' module, whose kernels Triton interprets on the CPU."""
    triton = pytest.importorskip("triton")
    spec = importlib.util.spec_from_file_location("interpreted_resample_triton", KERNELS)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    with triton.knobs.runtime.scope():
        triton.knobs.runtime.interpret = True
        spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(params=["portable", "interpreted"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one of the two forms compute."""
    if request.param == "interpreted":
        fused = request.getfixturevalue("kernels").FusedResample
        monkeypatch.setattr(module, "_form", lambda device: fused)


both_forms = pytest.mark.usefixtures("form")


def deformed(features: Tensor, offsets: Tensor) -> Tensor:
    return deform_conv2d(features, offsets, features.new_ones((features.shape[1], 1, 1, 1)))


def random_features(shape: tuple[int, ...], dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def random_offsets(shape: tuple[int, ...], reach: int, dtype: torch.dtype = torch.float64, seed: int = 1) -> Tensor:
    """Draw displacements of up to `reach` pixels that stay 0.05 away from whole ones, where the gradient jumps."""
    batch, channels, height, width = shape
    generator = torch.Generator().manual_seed(seed)
    size = (batch, 2 * channels, height, width)
    whole = torch.randint(-reach, reach, size, generator=generator)
    return (whole + 0.05 + 0.9 * torch.rand(size, generator=generator, dtype=torch.float64)).to(dtype)


def constant_offsets(features: Tensor, dy: float, dx: float) -> Tensor:
    batch, channels, height, width = features.shape
    pair = torch.tensor([dy, dx], dtype=features.dtype)
    return pair.repeat(channels).view(1, -1, 1, 1).expand(batch, -1, height, width)


def with_gradients(
    op: Callable[[Tensor, Tensor], Tensor], features: Tensor, offsets: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    features, offsets = features.clone().requires_grad_(), offsets.clone().requires_grad_()
    result = op(features, offsets)
    return (result.detach(), *torch.autograd.grad((result * weights).sum(), (features, offsets)))


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make even small tensors take several chunks and a shorter last one."""
    monkeypatch.setattr(module, "CPU_CHUNK", 130)


@pytest.fixture
def restored_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@both_forms
@pytest.mark.parametrize("reach", [1, 3, 50])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 3e-5)])
def test_equals_deformable_convolution(
    shape: tuple[int, ...], reach: int, dtype: torch.dtype, tolerance: float
) -> None:
    features, weights = random_features(shape, dtype), random_features(shape, dtype, 2)
    offsets = random_offsets(shape, reach, dtype)
    ours = with_gradients(resample, features, offsets, weights)
    theirs = with_gradients(deformed, features, offsets, weights)
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=tolerance, atol=tolerance)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("form", ["portable", "fused"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-12), (torch.float32, 3e-5), (torch.float16, 4e-3), (torch.bfloat16, 4e-2)],
)
def test_equals_deformable_convolution_on_a_gpu(
    dtype: torch.dtype, tolerance: float, form: str, layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = (2, 5, 33, 70)
    arguments = [random_features(shape, dtype), random_offsets(shape, 3, dtype), random_features(shape, dtype, 2)]
    theirs = with_gradients(deformed, *(tensor.double() for tensor in arguments))
    assert module._fused() is not None, "Triton runs on this machine"
    if form == "portable":
        monkeypatch.setattr(module, "_form", lambda device: module._Resample)
    ours = with_gradients(resample, *(tensor.cuda().to(memory_format=layout) for tensor in arguments))
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our.double().cpu(), their, rtol=tolerance, atol=tolerance)


@both_forms
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_deformable_convolution_at_whole_positions(dtype: torch.dtype) -> None:
    shape = (2, 3, 6, 7)
    features, weights = random_features(shape, dtype), random_features(shape, dtype, 2)
    offsets = random_offsets(shape, 9, dtype).floor()
    ours = with_gradients(resample, features, offsets, weights)
    theirs = with_gradients(deformed, features, offsets, weights)
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-6, atol=1e-6)


@given(
    shape=st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
    reach=st.integers(1, 12),
    seed=st.integers(0, 2**31),
)
def test_equals_deformable_convolution_for_any_shape(shape: tuple[int, ...], reach: int, seed: int) -> None:
    features, offsets = random_features(shape, seed=seed), random_offsets(shape, reach, seed=seed)
    expected = deformed(features, offsets) if shape[0] else features
    torch.testing.assert_close(resample(features, offsets), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 2, 4, 3), (2, 1, 5, 8)])
def test_gradients_are_those_of_finite_differences(shape: tuple[int, ...]) -> None:
    features, offsets = random_features(shape).requires_grad_(), random_offsets(shape, 2).requires_grad_()
    assert torch.autograd.gradcheck(resample, (features, offsets))


@both_forms
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [*SHAPES, (2, 7, 32, 32), (1, 2, 50, 84)])
def test_zero_offsets_return_the_features_exactly(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    features = random_features(shape, dtype) * 40
    offsets = torch.zeros((shape[0], 2 * shape[1], *shape[2:]), dtype=dtype)
    assert torch.equal(resample(features, offsets), features)


@given(
    sides=st.tuples(st.integers(1, 12), st.integers(1, 12)), dy=st.integers(-13, 13), dx=st.integers(-13, 13)
)  # fmt: skip
def test_whole_offsets_shift_exactly(sides: tuple[int, int], dy: int, dx: int) -> None:
    height, width = sides
    features = random_features((2, 3, height, width), torch.float32)
    around = torch.nn.functional.pad(features, (13, 13, 13, 13))
    expected = around[:, :, 13 + dy : 13 + dy + height, 13 + dx : 13 + dx + width]
    assert torch.equal(resample(features, constant_offsets(features, dy, dx)), expected)


@both_forms
def test_a_positive_dy_reads_one_row_further_down() -> None:
    features = torch.arange(12.0).view(1, 1, 4, 3)
    result = resample(features, constant_offsets(features, dy=1, dx=0))
    assert result[0, 0].tolist() == [[3, 4, 5], [6, 7, 8], [9, 10, 11], [0, 0, 0]]


@both_forms
def test_the_displacement_from_a_to_b_brings_a_moved_picture_back() -> None:
    scene = torch.nn.functional.interpolate(random_features((1, 2, 10, 10)), size=(40, 40), mode="bicubic")
    dy, dx = 2, -3  # everything moves down by two pixels and left by three
    frame_a, frame_b = scene[..., 10:30, 10:30], scene[..., 10 - dy : 30 - dy, 10 - dx : 30 - dx]
    inside = (..., slice(3, -3), slice(3, -3))
    brought_back = resample(frame_b, constant_offsets(frame_b, dy, dx))
    assert torch.equal(brought_back[inside], frame_a[inside])
    assert not torch.allclose(resample(frame_b, constant_offsets(frame_b, -dy, -dx))[inside], frame_a[inside], atol=0.1)


@both_forms
def test_a_fraction_mixes_four_neighbours() -> None:
    features = torch.tensor([[[[1.0, 2.0], [4.0, 8.0]]]])
    result = resample(features, constant_offsets(features, dy=0.25, dx=0.5))
    assert result[0, 0, 0, 0].item() == 0.75 * (0.5 * 1 + 0.5 * 2) + 0.25 * (0.5 * 4 + 0.5 * 8)


@both_forms
@pytest.mark.parametrize(("dx", "share"), [(-0.5, 0.5), (-0.75, 0.25), (-1.0, 0.0), (-1.5, 0.0), (-1e9, 0.0)])
def test_outside_the_border_counts_as_zero(dx: float, share: float) -> None:
    features = torch.full((1, 1, 3, 3), 8.0)
    left = resample(features, constant_offsets(features, 0, dx))[0, 0, :, 0]
    right = resample(features, constant_offsets(features, 0, -dx))[0, 0, :, 2]
    assert left.tolist() == right.tolist() == [8 * share] * 3


@both_forms
def test_each_channel_follows_its_own_displacement() -> None:
    features = random_features((2, 6, 5, 7))
    offsets = random_offsets(features.shape, 2)
    together = resample(features, offsets)
    for channel in range(6):
        alone = resample(features[:, [channel]], offsets[:, 2 * channel : 2 * channel + 2])
        assert torch.equal(together[:, [channel]], alone)


@both_forms
def test_memory_layout_does_not_matter() -> None:
    shape = (2, 4, 6, 5)
    features, offsets, weights = random_features(shape), random_offsets(shape, 2), random_features(shape, seed=2)
    expected = with_gradients(resample, features, offsets, weights)
    last = with_gradients(
        resample, *(tensor.to(memory_format=torch.channels_last) for tensor in (features, offsets, weights))
    )
    sliced = with_gradients(
        lambda f, o: resample(f[:, :, 1:-1, 2:-3], o[:, :, 1:-1, 2:-3]),
        torch.nn.functional.pad(features, (2, 3, 1, 1)),
        torch.nn.functional.pad(offsets, (2, 3, 1, 1)),
        weights,
    )
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(last, expected, strict=True))
    assert last[0].is_contiguous()
    assert torch.equal(sliced[0], expected[0])
    assert torch.equal(sliced[1][:, :, 1:-1, 2:-3], expected[1])
    assert torch.equal(sliced[2][:, :, 1:-1, 2:-3], expected[2])


@both_forms
def test_an_expanded_gradient_is_taken() -> None:
    features, offsets = random_features((2, 3, 4, 5)).requires_grad_(), random_offsets((2, 3, 4, 5), 1)
    resample(features, offsets).sum().backward()
    reference = features.detach().clone().requires_grad_()
    deformed(reference, offsets).sum().backward()
    assert features.grad is not None
    torch.testing.assert_close(features.grad, reference.grad)


@pytest.mark.usefixtures("small_chunks", "restored_threads")
@pytest.mark.parametrize("threads", [1, 2])
def test_chunks_and_threads_change_no_bit(
    threads: int, monkeypatch: pytest.MonkeyPatch, restored_threads: None
) -> None:
    shape = (3, 5, 6, 7)  # 15 planes of 42 positions: chunks of 3 or 6 planes
    features, weights = random_features(shape, torch.float32), random_features(shape, torch.float32, 2)
    offsets = random_offsets(shape, 3, torch.float32)
    torch.set_num_threads(threads)
    assert len(module._chunks(features, 1)) == (5 if threads == 1 else 3)
    chunked = with_gradients(resample, features, offsets, weights)
    monkeypatch.setattr(module, "CPU_CHUNK", 2**20)
    assert len(module._chunks(features, 1)) == 1
    whole = with_gradients(resample, features, offsets, weights)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(chunked, whole, strict=True))


@both_forms
@pytest.mark.parametrize("wanted", ["features", "offsets"])
def test_one_argument_alone_may_want_a_gradient(wanted: str) -> None:
    shape = (2, 3, 5, 6)
    arguments = {"features": random_features(shape), "offsets": random_offsets(shape, 2)}
    both = {name: tensor.clone().requires_grad_() for name, tensor in arguments.items()}
    resample(**both).square().sum().backward()
    arguments[wanted].requires_grad_()
    resample(**arguments).square().sum().backward()
    other = ({"features", "offsets"} - {wanted}).pop()
    assert arguments[wanted].grad is not None
    assert torch.equal(arguments[wanted].grad, both[wanted].grad)
    assert arguments[other].grad is None


def test_launches_share_planes_that_one_cannot_take(kernels: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = (3, 3, 5, 6)
    features, offsets, weights = random_features(shape), random_offsets(shape, 2), random_features(shape, seed=2)
    whole = with_gradients(kernels.FusedResample.apply, features, offsets, weights)
    monkeypatch.setattr(kernels, "PLANES", 4)  # of 9
    parts = with_gradients(kernels.FusedResample.apply, features, offsets, weights)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(parts, whole, strict=True))


@pytest.mark.filterwarnings("ignore:invalid value encountered in subtract")  # inf − inf, as NumPy sees it
@both_forms
def test_no_number_reaches_no_pixel() -> None:
    features, offsets = random_features((1, 1, 4, 40)).requires_grad_(), torch.zeros(1, 2, 4, 40, dtype=torch.float64)
    offsets[0, 0, 1, :4] = torch.tensor([float("nan"), float("inf"), float("-inf"), 1e300], dtype=torch.float64)
    resample(features, offsets).sum().backward()
    expected = torch.ones(1, 1, 4, 40, dtype=torch.float64)
    expected[0, 0, 1, :4] = 0
    assert features.grad is not None
    assert torch.equal(features.grad, expected)


@both_forms
def test_no_gradient_is_recorded_without_need() -> None:
    assert not resample(random_features((1, 2, 3, 4)), random_offsets((1, 2, 3, 4), 1)).requires_grad


@both_forms
def test_a_second_derivative_is_refused() -> None:
    features, offsets = random_features((1, 2, 3, 4)).requires_grad_(), random_offsets((1, 2, 3, 4), 1).requires_grad_()
    (gradient,) = torch.autograd.grad(resample(features, offsets).square().sum(), offsets, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@both_forms
def test_an_empty_batch_gives_an_empty_batch() -> None:
    features, offsets = torch.zeros(0, 3, 4, 5, requires_grad=True), torch.zeros(0, 6, 4, 5, requires_grad=True)
    result = resample(features, offsets)
    result.sum().backward()
    assert result.shape == (0, 3, 4, 5)
    assert features.grad is not None
    assert offsets.grad is not None
    assert features.grad.shape == (0, 3, 4, 5)
    assert offsets.grad.shape == (0, 6, 4, 5)


@both_forms
@pytest.mark.parametrize(
    ("features", "offsets"),
    [
        (torch.bfloat16, torch.bfloat16),
        (torch.float16, torch.float16),
        (torch.float16, torch.float32),
        (torch.float32, torch.bfloat16),
        (torch.float32, torch.float64),
        (torch.float64, torch.float32),
    ],
)
def test_dtypes_mix_and_positions_keep_their_precision(features: torch.dtype, offsets: torch.dtype) -> None:
    shape = (1, 2, 4, 100)  # in bfloat16 a position near 100 would be off by up to a quarter of a pixel
    f, o = random_features(shape, features), random_offsets(shape, 2, offsets)
    weights = random_features(shape, features, 2)
    ours = with_gradients(resample, f, o, weights)
    exact = with_gradients(resample, f.double(), o.double(), weights.double())
    assert [tensor.dtype for tensor in ours] == [features, features, offsets]
    for our, their in zip(ours, exact, strict=True):
        coarsest = max(torch.finfo(features).eps, torch.finfo(offsets).eps, torch.finfo(torch.float32).eps * 200)
        torch.testing.assert_close(our.double(), their, rtol=coarsest, atol=4 * coarsest)


@both_forms
def test_autocast_changes_nothing() -> None:
    shape = (2, 3, 8, 40)
    features, offsets = random_features(shape, torch.bfloat16), random_offsets(shape, 2, torch.bfloat16)
    weights = random_features(shape, torch.bfloat16, 2)
    plain = with_gradients(resample, features, offsets, weights)
    with torch.autocast("cpu", torch.bfloat16):
        cast = with_gradients(resample, features, offsets, weights)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(cast, plain, strict=True))


@both_forms
def test_training_works_after_inference_mode() -> None:
    shape = (1, 2, 11, 13)  # a size of its own: its positions are computed and kept under inference mode
    with torch.inference_mode():
        evaluated = resample(random_features(shape), random_offsets(shape, 1))
    features, offsets = random_features(shape).requires_grad_(), random_offsets(shape, 1).requires_grad_()
    trained = resample(features, offsets)
    trained.sum().backward()
    assert torch.equal(trained, evaluated.clone())
    assert offsets.grad is not None


@pytest.mark.filterwarnings("ignore:invalid value encountered in subtract")  # inf − inf, as NumPy sees it
@both_forms
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_an_offset_that_is_not_finite_shows(value: float) -> None:
    features = torch.ones(1, 1, 4, 4)
    offsets = torch.zeros(1, 2, 4, 4)
    offsets[0, 1, 2, 3] = value
    result = resample(features, offsets)
    assert result[0, 0, 2, 3].isnan()
    assert result.isnan().sum() == 1


@pytest.mark.parametrize(
    ("features", "offsets", "message"),
    [
        (torch.zeros(3, 4, 4), torch.zeros(1, 6, 4, 4), r"features must be \(N, C, H, W\).*\(3, 4, 4\)"),
        (torch.zeros(1, 3, 0, 4), torch.zeros(1, 6, 0, 4), r"H and W ≥ 1, not \(1, 3, 0, 4\)"),
        (torch.zeros(1, 0, 4, 4), torch.zeros(1, 0, 4, 4), r"C, H and W ≥ 1"),
        (torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4), r"offsets must be \(1, 6, 4, 4\).*not \(1, 3, 4, 4\)"),
        (torch.zeros(1, 3, 4, 4), torch.zeros(2, 6, 4, 4), r"offsets must be \(1, 6, 4, 4\)"),
        (torch.zeros(1, 3, 4, 5), torch.zeros(1, 6, 5, 4), r"offsets must be \(1, 6, 4, 5\)"),
        (torch.zeros(1, 3, 4, 4).int(), torch.zeros(1, 6, 4, 4), r"floating point, not torch.int32"),
        (torch.zeros(1, 3, 4, 4), torch.zeros(1, 6, 4, 4).long(), r"floating point, not .*torch.int64"),
        (torch.zeros(1, 3, 4, 4), torch.zeros(1, 6, 4, 4, device="meta"), r"share a device, not cpu and meta"),
    ],
)
def test_what_does_not_fit_is_named(features: Tensor, offsets: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resample(features, offsets)
