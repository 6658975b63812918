"""`dimofs adapt`: DiMoFs and its control on labelled footage, from any initial weights or from none."""

import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from typer.testing import CliRunner

from dimofs.cli import app
from dimofs.config import Training
from dimofs.datasets.footage import image_name, write_sequence
from dimofs.datasets.manifest import write_manifest
from dimofs.datasets.records import Person
from dimofs.pose.pretrain import detector_of
from dimofs.training import loop
from dimofs.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint

SMOKE = Path(__file__).parents[3] / "scenarios/smoke/config/config.yaml"


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Four frames of noise with one person each; gives the manifest."""
    root, rng = tmp_path / "walk", np.random.default_rng(0)
    people = []
    for frame in range(4):
        path = root / image_name("train", "walk", frame)
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 255, (64, 96, 3), np.uint8))
        joints = (rng.random((17, 2)) * (20, 40) + (30 + 3 * frame, 10)).astype(np.float32)
        box = np.array([25, 5, 60, 55], np.float32)
        people.append((Person(0, box, box, joints, np.ones(17, bool)),))
    write_sequence(root, "train", "walk", people, {"description": "pseudo-labels of the test"})
    write_manifest(root, tmp_path / "walk.csv")
    return tmp_path / "walk.csv"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    raw = yaml.safe_load(SMOKE.read_text(encoding="utf-8"))
    raw["pretrain"]["pose"] |= {"steps": 2, "batch_size": 2, "learning_rate": 1e-4}
    raw["pretrain"]["augmentation"] |= {"window": 48}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return path


def adapt(labelled: Path, config: Path, out: Path, *options: object) -> dict[str, torch.Tensor]:
    command = ["adapt", labelled, "--config", config, "--out", out, *options]
    CliRunner().invoke(app, [str(word) for word in command], catch_exceptions=False)
    return load_checkpoint(out)[0]


def test_dimofs_and_its_control_learn_from_any_weights(labelled: Path, config: Path, tmp_path: Path) -> None:
    first = adapt(labelled, config, tmp_path / "first.safetensors")
    assert any(name.startswith("offsets.") for name in first)
    detector, model = detector_of(tmp_path / "first.safetensors")
    assert model.image_size == 64
    assert detector.offsets is not None
    curve = pd.read_csv(tmp_path / "first-curve.csv")
    assert curve["step"].tolist() == [2]
    assert "val_map" not in curve
    assert not (tmp_path / "first.resume").exists()

    moved = {name: tensor + 0.5 if name.startswith("offsets.") else tensor for name, tensor in first.items()}
    save_checkpoint(tmp_path / "moved.safetensors", moved, load_checkpoint(tmp_path / "first.safetensors")[1])
    second = adapt(labelled, config, tmp_path / "second.safetensors", "--init", tmp_path / "moved.safetensors")
    for name in (name for name in first if name.startswith("offsets.")):
        torch.testing.assert_close(second[name], moved[name], atol=5e-3, rtol=0)  # offsets go on where they were
    assert not any("num_batches_tracked" in name for name in second)  # and normalisation stays as it was learned

    control = adapt(
        labelled, config, tmp_path / "control.safetensors", "--init", tmp_path / "moved.safetensors", "--single-frame"
    )
    assert not any(name.startswith(("offsets.", "resampling.")) for name in control)
    assert control.keys() == {name for name in second if not name.startswith(("offsets.", "resampling."))}


def test_weights_of_another_network_are_refused(labelled: Path, config: Path, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "other.safetensors", {"backbone.weight": torch.zeros(1)}, {})
    with pytest.raises(CheckpointError, match=r"other\.safetensors: does not fit"):
        adapt(labelled, config, tmp_path / "out.safetensors", "--init", tmp_path / "other.safetensors")


def test_a_killed_training_goes_on(
    labelled: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = yaml.safe_load(config.read_text(encoding="utf-8"))
    raw["pretrain"]["pose"] |= {"steps": 4, "checkpoint_every": 2}
    config.write_text(yaml.safe_dump(raw), encoding="utf-8")
    whole = adapt(labelled, config, tmp_path / "whole.safetensors")
    steps: list[int] = []

    def counted(training: Training, step: int) -> float:
        steps.append(step)
        if steps.count(3) == 1:
            raise RuntimeError("killed")
        return learning_rate(training, step)

    learning_rate = loop.learning_rate
    monkeypatch.setattr(loop, "learning_rate", counted)
    with pytest.raises(RuntimeError, match="killed"):
        adapt(labelled, config, tmp_path / "parts.safetensors")
    until = len(steps)
    steps.append(3)  # not killed again
    parts = adapt(labelled, config, tmp_path / "parts.safetensors")
    assert set(steps[until:]) == {2, 3}
    assert all(torch.equal(parts[name], whole[name]) for name in whole)


def test_a_folder_in_the_place_of_the_checkpoint_is_refused_at_once(
    labelled: Path, config: Path, tmp_path: Path
) -> None:
    command = ["adapt", labelled, "--config", config, "--out", tmp_path]
    refused = CliRunner().invoke(app, [str(word) for word in command])
    assert refused.exit_code == 2
    assert "is a directory" in re.sub(r"[\s│]+", " ", refused.output)
