"""The Triton kernels beyond the promises that test_resample.py checks: who gets them, and that they compile."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import dimofs.model
from dimofs.model import resample as module

triton = pytest.importorskip("triton")

CUDA = torch.device("cuda")


@pytest.fixture
def undecided() -> Iterator[None]:
    """Have the choice of a form made anew, and forgotten afterwards."""
    module._fused.cache_clear()
    yield
    module._fused.cache_clear()


@pytest.mark.usefixtures("undecided")
def test_a_gpu_gets_the_kernels_and_the_cpu_the_portable_form(monkeypatch: pytest.MonkeyPatch) -> None:
    from dimofs.model import resample_triton

    monkeypatch.setattr(resample_triton, "prepare", lambda: None)
    assert module._form(CUDA) is resample_triton.FusedResample
    assert module._form(torch.device("cpu")) is module._Resample


@pytest.mark.usefixtures("undecided")
def test_a_gpu_without_a_compiler_gets_the_portable_form(monkeypatch: pytest.MonkeyPatch) -> None:
    from dimofs.model import resample_triton

    def no_compiler() -> None:
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(resample_triton, "prepare", no_compiler)
    with pytest.warns(UserWarning, match="slower on this GPU: Failed to find C compiler"):
        assert module._form(CUDA) is module._Resample


@pytest.mark.usefixtures("undecided")
def test_a_gpu_without_triton_gets_the_portable_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "dimofs.model.resample_triton", raising=False)
    monkeypatch.delattr(dimofs.model, "resample_triton", raising=False)
    with pytest.warns(UserWarning, match="slower on this GPU: .*triton"):
        assert module._form(CUDA) is module._Resample


def test_the_cpu_does_not_wait_for_triton_to_load() -> None:
    program = (
        "import sys; from dimofs.model.resample import resample; import torch;"
        "resample(torch.ones(1, 1, 2, 2), torch.zeros(1, 2, 2, 2)); assert 'triton' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("types", [("bf16", "bf16"), ("fp16", "fp32"), ("fp64", "fp64")])
def test_the_kernels_compile_for_a_gpu(types: tuple[str, str], tmp_path: Path) -> None:
    """The interpreter takes what the compiler may refuse; to compile takes no GPU (Hopper here)."""
    from dimofs.model.resample_triton import TILE, _backward, _forward

    features, offsets = types
    exact = "fp64" if "fp64" in types else "fp32"
    pointers = {"features": features, "out": features, "gradient": features, "to_features": exact}
    pointers |= {"offsets": offsets, "to_offsets": offsets}
    constants = {"compute": getattr(triton.language, f"float{exact[2:]}"), "rows": TILE[0], "columns": TILE[1]}
    constants |= {"want_features": True, "want_offsets": True}
    with triton.knobs.cache.scope():
        triton.knobs.cache.dir = str(tmp_path)
        for kernel in (_forward, _backward):
            given = {name: value for name, value in constants.items() if name in kernel.arg_names}
            signature = {
                name: "constexpr" if name in given else f"*{pointers[name]}" if name in pointers else "i32"
                for name in kernel.arg_names
            }
            source = triton.compiler.ASTSource(kernel, signature, constexprs=given)
            target = triton.backends.compiler.GPUTarget("cuda", 90, 32)
            compiled = triton.compile(source, target=target, options={"enable_fp_fusion": True})
            assert compiled.asm["cubin"]
            assert f"red.global.gpu.relaxed.add.f{exact[2:]}" in compiled.asm["ptx"] or kernel is _forward
            assert "st.local" not in compiled.asm["ptx"]
