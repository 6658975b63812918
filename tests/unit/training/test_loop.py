import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch

import dimofs
from dimofs.config import Training
from dimofs.pairs.loading import Batch
from dimofs.pairs.sampling import Draw
from dimofs.training import loop
from dimofs.training.checkpoint import load_checkpoint
from dimofs.training.loop import Run, TrainingError, computes_bfloat16, encode, learning_rate, train

TRAINING = Training(
    steps=30, batch_size=4, optimizer="adamw", learning_rate=0.01, weight_decay=1e-4, warmup_steps=5, schedule="cosine",
    milestones=(), clip_norm=1.0, checkpoint_every=7, validate_every=10, threads=1,
)  # fmt: skip


class Noise:
    """Batches of noise; the last channel holds what the network must find."""

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.seen: list[int] = []

    def batches(self, batch_size: int, first: int, last: int) -> Iterator[Batch]:
        for step in range(first, last):
            time.sleep(self.delay)
            self.seen.append(step)
            generator = torch.Generator().manual_seed(step)
            frames = torch.randint(0, 256, (batch_size, 3, 8, 8), generator=generator, dtype=torch.uint8)
            yield Batch((frames,), [(8, 8)] * batch_size, [], [Draw(step, "v", 1, 2, 1)])


def network() -> torch.nn.Sequential:
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.3),
        torch.nn.Conv2d(4, 1, 6),
    )


def run(folder: Path, note: str = "") -> Run:
    return Run("toy", 5, {"note": note}, folder / "w.safetensors", folder / "w.csv", folder / "resume.safetensors")


def fit(
    folder: Path, batches: Noise, training: Training = TRAINING, note: str = "", fail_at: int | None = None
) -> None:
    net = network()

    def losses(batch: Batch) -> dict[str, torch.Tensor]:
        x = batch.frames[0].float() / 255
        loss = (net(x).flatten() - x.mean((1, 2, 3))).square().mean()
        if fail_at is not None and batch.draws[0].position == fail_at:
            loss = loss * math.nan
        return {"loss_toy": loss}

    train(net, losses, batches, training, run(folder, note), lambda: {"val": 1.0})


class Interrupted(Exception):
    pass


class StopsAt(Noise):
    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def batches(self, batch_size: int, first: int, last: int) -> Iterator[Batch]:
        for batch in super().batches(batch_size, first, last):
            if batch.draws[0].position == self.step:
                raise Interrupted
            yield batch


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("stop", [3, 7, 20, 29])
def test_an_interrupted_training_ends_with_the_same_bytes(tmp_path, optimizer, stop):
    training = TRAINING.model_copy(update={"optimizer": optimizer})
    (tmp_path / "whole").mkdir()
    fit(tmp_path / "whole", Noise(), training)
    with pytest.raises(Interrupted):
        fit(tmp_path / "broken", StopsAt(stop), training)
    assert not (tmp_path / "broken/w.safetensors").exists()
    second = Noise()
    fit(tmp_path / "broken", second, training)
    assert second.seen[0] == stop // 7 * 7  # it went on from the resume point, not from the start
    for name in ("w.safetensors", "w.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()
    assert not (tmp_path / "broken/resume.safetensors").exists()


def test_a_killed_process_resumes_to_the_same_bytes(tmp_path):
    """A real SIGKILL, at a moment that nobody chose."""
    fit(tmp_path / "whole", Noise())
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_loop as t; "
    code += "from pathlib import Path; "
    code += f"t.fit(Path({str(tmp_path / 'killed')!r}), t.Noise(0.05))"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.time() + 60
    while not (tmp_path / "killed/resume.safetensors").exists() and time.time() < deadline:
        time.sleep(0.01)
    time.sleep(0.03)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed/w.safetensors").exists()
    fit(tmp_path / "killed", Noise())
    assert (tmp_path / "whole/w.safetensors").read_bytes() == (tmp_path / "killed/w.safetensors").read_bytes()
    assert (tmp_path / "whole/w.csv").read_bytes() == (tmp_path / "killed/w.csv").read_bytes()


@pytest.mark.parametrize("damage", ["other configuration", "other code", "truncated"])
def test_a_resume_point_that_does_not_fit_is_not_used(tmp_path, damage, capsys, monkeypatch):
    with pytest.raises(Interrupted):
        fit(tmp_path, StopsAt(20), note="old")
    if damage == "truncated":
        resume = run(tmp_path).resume
        resume.write_bytes(resume.read_bytes()[:-50])
    if damage == "other code":
        package = shutil.copytree(Path(dimofs.__file__).parent, tmp_path / "dimofs")
        (package / "metrics.py").write_text("")
        monkeypatch.setattr(dimofs, "__file__", str(package / "__init__.py"))
    batches = Noise()
    fit(tmp_path, batches, note="new" if damage == "other configuration" else "old")
    assert batches.seen[0] == 0
    assert "starting from the beginning" in capsys.readouterr().out


def test_a_loss_that_is_not_finite_stops_with_the_batch_named(tmp_path):
    with pytest.raises(TrainingError, match=r"step 11 .*loss_toy nan.*v A 1 B 2"):
        fit(tmp_path, Noise(), fail_at=11)
    assert not (tmp_path / "w.safetensors").exists()


def test_the_curve_tells_loss_rate_and_validation(tmp_path):
    fit(tmp_path, Noise())
    curve = pd.read_csv(tmp_path / "w.csv")
    assert curve["step"].tolist() == [10, 20, 30]
    assert {"loss", "loss_toy", "learning_rate", "val"} <= set(curve)
    assert curve["loss"].iloc[-1] < curve["loss"].iloc[0]


def test_the_checkpoint_carries_what_made_it(tmp_path):
    fit(tmp_path, Noise(), note="hello")
    tensors, metadata = load_checkpoint(tmp_path / "w.safetensors")
    assert metadata == {"note": "hello"}
    assert set(tensors) == set(network().state_dict())


def test_rates_follow_the_schedule():
    cosine = [learning_rate(TRAINING, step) for step in range(30)]
    assert cosine[0] == pytest.approx(0.01 / 3)
    assert max(cosine) == max(cosine[4:7])
    assert cosine[-1] < 0.0005
    steps = TRAINING.model_copy(update={"schedule": "steps", "milestones": (0.5, 0.8), "warmup_steps": 0})
    assert [learning_rate(steps, step) for step in (0, 14, 15, 23, 24)] == pytest.approx(
        [0.01, 0.01, 0.001, 0.001, 0.0001]
    )


@pytest.mark.parametrize(
    ("device", "able", "mixed"),
    [
        ("cuda", {}, True),
        ("cpu", {}, False),
        ("cpu", {"avx512_bf16": False, "avx512_f": True}, False),
        ("cpu", {"avx512_bf16": True}, True),
        ("cpu", {"bf16": True}, True),
        ("meta", {"avx512_bf16": True}, False),
    ],
)
def test_precision_is_mixed_where_the_device_computes_bfloat16(device, able, mixed, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert computes_bfloat16(torch.device(device)) is mixed


@pytest.mark.parametrize("mixed", [False, True])
def test_features_outside_training_are_float32_whatever_computes_them(mixed, monkeypatch):
    monkeypatch.setattr(loop, "computes_bfloat16", lambda target: mixed)
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(3, 8, 3, padding=1)
    first, second = torch.randint(0, 256, (2, 2, 3, 16, 16), dtype=torch.uint8)
    with torch.inference_mode():
        (level,) = encode(lambda a, b: [convolution(a - b)], first, second)
        expected = convolution(first / 255 - second / 255)
    assert level.dtype == torch.float32
    error = float((level - expected).abs().max() / expected.abs().max())
    assert 1e-4 < error < 1e-2 if mixed else error < 1e-6
