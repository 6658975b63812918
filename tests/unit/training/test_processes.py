"""Two real processes share batches: they learn what one learns, and one goes on where the other two stopped."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch

import dimofs
from dimofs.config import ConfigError, Model, Training, load_config
from dimofs.model.pose_detector import PoseDetector
from dimofs.pairs.loading import Batch
from dimofs.pairs.sampling import Draw
from dimofs.pose.pretrain import batch_losses
from dimofs.training import loop, processes
from dimofs.training.checkpoint import load_checkpoint
from dimofs.training.loop import Run, load_ahead, train

ROOT = Path(dimofs.__file__).parents[1]
SIDE = 64
TRAINING = Training(
    steps=20, batch_size=4, optimizer="sgd", learning_rate=0.02, weight_decay=1e-4, warmup_steps=4, schedule="steps",
    milestones=(0.8,), clip_norm=10.0, checkpoint_every=6, validate_every=20, threads=1,
)  # fmt: skip


ADAMW = TRAINING.model_copy(update={"optimizer": "adamw", "learning_rate": 5e-4, "schedule": "cosine"})


class People:
    """Pairs of noise with people in them: none, one or two an image, some joints without a label."""

    def __init__(self, stop: int | None = None) -> None:
        self.stop = stop

    def batches(self, batch_size: int, first: int, last: int) -> Iterator[Batch]:
        for step in range(first, last):
            if self.stop is not None and step * batch_size >= self.stop * TRAINING.batch_size:
                raise InterruptedError
            images = [self.image(position) for position in range(step * batch_size, (step + 1) * batch_size)]
            frames = tuple(torch.stack(column) for column in zip(*(image[:2] for image in images), strict=True))
            draws = [Draw(position, "v", 0, 1, 1) for position in range(batch_size)]
            yield Batch(frames, [(SIDE, SIDE)] * batch_size, [image[2] for image in images], draws)

    def image(self, position: int) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        random = torch.Generator().manual_seed(position)
        frame_a, frame_b = torch.randint(0, 256, (2, 3, SIDE, SIDE), generator=random, dtype=torch.uint8)
        people = position % 3
        corners = 4 + torch.rand((people, 2), generator=random) * 20
        boxes = torch.cat([corners, corners + 30], dim=1)
        joints = corners[:, None] + torch.rand((people, 17, 2), generator=random) * 30
        visible = (torch.rand((people, 17, 1), generator=random) > 0.3).float()
        keypoints = torch.cat([joints, visible], dim=2)
        target = {"boxes": boxes, "labels": torch.ones(people, dtype=torch.int64), "keypoints": keypoints}
        return frame_a, frame_b, target


def model() -> Model:
    small = {"small_width": 8, "fpn_channels": 8, "box_features": 16, "keypoint_layers": (8,), "image_size": SIDE}
    small |= {"anchor_sizes": (16, 24, 32, 48, 64), "proposals_train": 20, "rois_per_image": 8, "anchors_per_image": 16}
    return load_config(ROOT / "config/config.yaml").model.model_copy(update=small)


def fit(folder: Path, training: Training = TRAINING, stop: int | None = None, *, live_norm: bool = False) -> None:
    """Train a small DiMoFs detector in single precision, which bfloat16's rounding of shared sums would hide.

    The seed is one at which no proposal is kept or dropped by a hair, which rounding would tip.
    """
    loop.computes_bfloat16 = lambda target: False  # type: ignore[assignment]
    torch.manual_seed(0)
    detector = PoseDetector(model(), pairs=True, live_norm=live_norm)
    run = Run("small", 4, {}, folder / "w.safetensors", folder / "w.csv", folder / "resume.safetensors")
    train(detector, batch_losses(detector), People(stop), training, run, lambda: {"val": 1.0})


def in_two_processes(program: str) -> subprocess.CompletedProcess[str]:
    """Run lines of Python, with this module as `t`, in two processes as torchrun starts them."""
    lines = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nimport test_processes as t\n{program}"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--no-python"]
    search_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [*torchrun, sys.executable, "-c", lines],
        env={**os.environ, "PYTHONPATH": search_path, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def furthest(first: Path, second: Path) -> float:
    """The largest difference between two checkpoints' weights."""
    (one, _), (other, _) = load_checkpoint(first / "w.safetensors"), load_checkpoint(second / "w.safetensors")
    assert one.keys() == other.keys()
    return max((one[name] - other[name]).abs().max().item() for name in one)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trainings of one process and of two, whole and stopped, made with one start of two processes."""
    folder = tmp_path_factory.mktemp("processes")
    fit(folder / "one")
    fit(folder / "one_adamw", ADAMW)
    with pytest.raises(InterruptedError):
        fit(folder / "one_then_two", stop=13)
    program = f"""
from pathlib import Path
folder = Path({str(folder)!r})
t.fit(folder / "two")
t.fit(folder / "two_adamw", t.ADAMW)
t.fit(folder / "one_then_two")
try:
    t.fit(folder / "two_then_one", stop=13)
except InterruptedError:
    pass
"""
    done = in_two_processes(program)
    assert done.returncode == 0, done.stderr[-3000:]
    fit(folder / "two_then_one")
    return folder


@pytest.mark.parametrize("optimizer", ["", "_adamw"], ids=["sgd", "adamw"])
def test_two_processes_learn_what_one_learns(trained: Path, optimizer: str) -> None:
    assert furthest(trained / f"one{optimizer}", trained / f"two{optimizer}") <= 1e-5
    assert not (trained / f"two{optimizer}/resume.safetensors").exists()


def test_the_test_above_would_see_a_difference(trained: Path, tmp_path: Path) -> None:
    """Another seed's RoIs, or one step less, move the weights by far more than the tolerance."""
    fit(tmp_path, TRAINING.model_copy(update={"steps": 19, "milestones": (16 / 19,)}))
    assert furthest(trained / "one", tmp_path) > 1e-3


@pytest.mark.parametrize("way", ["two_then_one", "one_then_two"])
def test_a_training_goes_on_in_another_number_of_processes(trained: Path, way: str) -> None:
    assert furthest(trained / "one", trained / way) <= 1e-5


def test_the_curve_of_two_processes_is_that_of_the_batch(trained: Path) -> None:
    one, two = (pd.read_csv(trained / name / "w.csv") for name in ("one", "two"))
    assert one["step"].tolist() == [10, 20]
    pd.testing.assert_frame_equal(one, two, atol=1e-4)


def test_processes_pad_their_frames_to_the_largest_of_all() -> None:
    """One has frames of 32×96, the other of 64×64: anchors are those of 64×96 in both, as in one process."""
    done = in_two_processes("""
t.processes.join()
rank, _ = t.loop.place()
frames = t.torch.full((1, 3, 32 + 32 * rank, 96 - 32 * rank), 7, dtype=t.torch.uint8)
padded = t.loop._of_one_size(t.Batch((frames, frames), [(30, 60)], [], []), t.torch.device("cpu"))
assert [tuple(column.shape) for column in padded.frames] == [(1, 3, 64, 96)] * 2
height, width = frames.shape[-2:]
assert (padded.frames[1][..., :height, :width] == 7).all()
assert int(padded.frames[1].sum()) == 7 * frames.numel()
assert padded.sizes == [(30, 60)]
""")
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "place", lambda: (0, 3))
    with pytest.raises(ConfigError, match="a batch of 4 cannot be shared equally by 3 processes"):
        fit(tmp_path)


def test_normalisation_that_learns_is_refused_where_it_cannot_be_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "place", lambda: (0, 2))
    with pytest.raises(ConfigError, match="one process"):
        fit(tmp_path, live_norm=True)


def test_batches_loaded_ahead_are_the_same() -> None:
    alone, ahead = (list(load_ahead(People(), TRAINING, 15, loaders)) for loaders in (0, 2))
    assert len(alone) == len(ahead) == 5
    for one, other in zip(alone, ahead, strict=True):
        assert all(torch.equal(*frames) for frames in zip(one.frames, other.frames, strict=True))
        assert all(torch.equal(a[key], b[key]) for a, b in zip(one.targets, other.targets, strict=True) for key in a)


def test_a_command_is_started_again_in_processes_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, arguments: started.append(arguments))
    monkeypatch.setattr(sys, "argv", ["dimofs", "pretrain", "dimofs", "--processes", "2"])
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    processes.start(1)
    assert started == []
    processes.start(2)
    assert "--nproc-per-node=2" in started[0]
    assert started[0][-5:] == ["dimofs.cli", "pretrain", "dimofs", "--processes", "2"]
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    processes.start(2)
    assert len(started) == 1
