"""The verbs of the rivals on a tiny Diving48: they train on the right dives, and choose nothing on the test dives."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from dimofs.cli import app
from dimofs.config import ConfigError, load_config
from dimofs.datasets.diving48 import Dive, read_diving48
from dimofs.datasets.manifest import write_manifest
from dimofs.datasets.records import DIVING48_CLASSES
from dimofs.recognition.predictions import LABELS, hold_out, read_predictions, write_predictions
from dimofs.training.checkpoint import load_checkpoint

CONFIG = Path(__file__).parents[3] / "scenarios/smoke/config/config.yaml"


def run(*command: object) -> None:
    CliRunner().invoke(app, [str(word) for word in command], catch_exceptions=False)


@pytest.fixture(scope="module")
def dives(tmp_path_factory: pytest.TempPathFactory, encode: Callable[..., Path]) -> tuple[Path, list[Dive]]:
    """Six source videos of two training dives each and four test dives; the manifest, and what is read."""
    folder = tmp_path_factory.mktemp("datasets")
    root = folder / "diving48"
    rng = np.random.default_rng(0)
    entries: dict[str, list[dict[str, object]]] = {"train": [], "test": []}
    for number in range(16):
        split = "train" if number < 12 else "test"
        name = f"{split}{number // 2}_{number:05d}"
        encode(root / "rgb" / f"{name}.mp4", rng.integers(0, 255, (9, 32, 32, 3), np.uint8), rate=10)
        entries[split].append({"vid_name": name, "label": number % 4, "start_frame": 0, "end_frame": 8})
    for split, listed in entries.items():
        (root / f"Diving48_V2_{split}.json").write_text(json.dumps(listed), encoding="utf-8")
    vocabulary = [list(words) for words in DIVING48_CLASSES]
    (root / "Diving48_vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    write_manifest(root, folder / "diving48.csv")
    return folder / "diving48.csv", read_diving48(root, "V2")


def train(name: str, manifest: Path, folder: Path) -> Path:
    out = folder / f"{name}.safetensors"
    files = ("--out", out, "--curve", folder / f"{name}.csv", "--resume", folder / f"{name}.resume")
    run("recognition", "train-rival", name, "--config", CONFIG, "--dataset", manifest, "--seed", 0, *files)
    return out


def test_held_out_dives_are_not_trained_on(
    dives: tuple[Path, list[Dive]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, listed = dives
    seen: dict[str, set[str]] = {}

    def trains(config: object, rival: object, videos: list[Dive], *others: object) -> None:
        seen[str(len(seen))] = {video.name for video in videos}

    monkeypatch.setattr("dimofs.recognition.rivals.train_rival", trains)
    for name in ("r2plus1d_pretrained", "r2plus1d_pretrained_hold_out"):
        train(name, manifest, tmp_path)
    fitted, held = hold_out(listed)
    assert seen["0"] == {dive.name for dive in listed if dive.split == "train"}
    assert seen["1"] == {dive.name for dive in fitted}
    assert seen["0"] - seen["1"] == {dive.name for dive in held} != set()


def test_a_checkpoint_tells_what_made_it(dives: tuple[Path, list[Dive]], tmp_path: Path) -> None:
    _, metadata = load_checkpoint(train("r2plus1d", dives[0], tmp_path))
    rivals = load_config(CONFIG).recognition.rivals
    assert metadata["network"] == "r2plus1d"
    assert metadata["clip_frames"] == rivals.clip_frames
    assert metadata["training"]["steps"] == rivals.training.steps
    assert "views" not in metadata
    assert [*metadata["sha256"]] == ["diving48.csv"]


def test_an_unknown_rival_is_named(dives: tuple[Path, list[Dive]], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"slowfast: no such rival; there are tsn_rgb"):
        train("slowfast", dives[0], tmp_path)


def scores(dives: list[Dive], right: bool) -> np.ndarray:
    labels = [dive.label if right else (dive.label + 1) % 4 for dive in dives]
    return np.eye(LABELS, dtype=np.float32)[labels] * 9


@pytest.mark.parametrize("trusted", [True, False])
def test_the_fusion_trusts_who_was_right_on_the_held_out_dives(
    dives: tuple[Path, list[Dive]], tmp_path: Path, trusted: bool
) -> None:
    """R(2+1)D is right on the held-out dives or wrong; what it says of the test dives has no part in the choice."""
    manifest, listed = dives
    held, test = hold_out(listed)[1], [dive for dive in listed if dive.split == "test"]
    write_predictions(test, scores(test, True), tmp_path / "ours.parquet")
    write_predictions(test, scores(test, False), tmp_path / "theirs.parquet")
    write_predictions(held, scores(held, trusted), tmp_path / "held.parquet")
    sums = [np.eye(4)[dive.label] + 0.01 if not trusted else np.ones(4) for dive in listed]
    pd.DataFrame({"video": [dive.name for dive in listed], "activations": sums}).to_parquet(tmp_path / "sums.parquet")
    run(
        "recognition", "fuse", "--config", CONFIG, "--dataset", manifest, "--activations", tmp_path / "sums.parquet",
        "--ours", tmp_path / "ours.parquet", "--theirs", tmp_path / "theirs.parquet",
        "--theirs-held-out", tmp_path / "held.parquet", "--out", tmp_path / "fusion.parquet",
        "--weights", tmp_path / "weights.csv",
    )  # fmt: skip
    weights = pd.read_csv(tmp_path / "weights.csv")
    assert weights.loc[weights["chosen"], "recognised"].item() == weights["recognised"].max() == len(held)
    fused = read_predictions(tmp_path / "fusion.parquet", test).argmax(1)
    assert (fused == scores(test, not trusted).argmax(1)).all()
