"""The benchmarks for a GPU: their logic, at toy size on the CPU."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from dimofs.config import load_config

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path.stem for path in (ROOT / "benchmarks" / "gpu").glob("*.py"))


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"gpu_{name}", ROOT / "benchmarks" / "gpu" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", SCRIPTS)
def test_without_a_gpu_nothing_is_measured(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", [f"{name}.py"])
    script(name).main()
    assert capsys.readouterr().out == "no CUDA device: not measured\n"


def test_the_ops_are_compared_at_every_dtype() -> None:
    lines = script("resample").report(torch.device("cpu"), (1, 2, 6, 9), 2)
    rows = [line.split(" | ") for line in lines if line.startswith("| float32") or line.startswith("| bfloat16")]
    assert len(rows) == 8
    for cells in rows:
        assert re.fullmatch(r"\d+\.\d{3} ms", cells[4])
        assert cells[7].rstrip(" |").endswith("%")


def test_the_bytes_that_must_move_are_counted() -> None:
    """float32: forward 4 tensors of 512×512×4 bytes, with the backward 11."""
    benchmark = script("resample")
    lines = benchmark.report(torch.device("cpu"), (1, 1, 512, 512), 1)
    moved = {cells[2]: cells[6] for cells in (line.split(" | ") for line in lines) if cells[0] == "| float32"}
    assert moved == {"forward": "4", "forward + backward": "12"}


def test_ops_that_differ_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = script("resample")
    monkeypatch.setattr(benchmark, "resample", lambda features, offsets: 1.01 * benchmark.deformable(features, offsets))
    with pytest.raises(AssertionError, match="not close"):
        benchmark.report(torch.device("cpu"), (1, 2, 6, 9), 1)


def test_training_steps_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = script("training_step")
    monkeypatch.setattr(benchmark, "WARM_UP", 1)
    threads = torch.get_num_threads()
    lines = benchmark.report(load_config(ROOT / "scenarios/smoke/config/config.yaml"), 1, 4)
    torch.set_num_threads(threads)
    rows = [re.fullmatch(r"\| (\w+) \| (\d+) ms \| (\d+) ms \| -?\d+\.\d% \|", line) for line in lines]
    assert [row[1] for row in rows if row] == ["single_frame", "dimofs"]
    assert all(int(row[2]) > 0 and int(row[3]) > 0 for row in rows if row)
    assert re.fullmatch(r"DiMoFs take \d+\.\d\d times as long a step; medians of 3", lines[-1])
