"""The rivals of Table 4: every one trains and predicts, twice alike, and has its costs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import WeightsEnum, resnet50
from torchvision.models.video import r2plus1d_18

from dimofs.config import Config, ConfigError, check_config, load_config
from dimofs.datasets.diving48 import Dive
from dimofs.recognition.cost import COLUMNS
from dimofs.recognition.cost_rivals import cost_rivals
from dimofs.recognition.predictions import LABELS
from dimofs.recognition.rivals import (
    HELD_OUT,
    PRETRAININGS,
    RIVALS,
    ROWS,
    build_rival,
    load_row,
    predict_rivals,
    start_weights,
    train_rival,
)
from dimofs.training.checkpoint import load_checkpoint, save_checkpoint
from dimofs.training.loop import Run

CONFIG: Config = load_config(Path(__file__).parents[3] / "scenarios/smoke/config/config.yaml")
SETTINGS = CONFIG.recognition.rivals


@pytest.fixture(scope="module")
def dives(tmp_path_factory: pytest.TempPathFactory, encode: Callable[..., Path]) -> list[Dive]:
    folder = tmp_path_factory.mktemp("rgb")
    noise = np.random.default_rng(0).integers(0, 255, (4, 10, 32, 32, 3), np.uint8)
    paths = [encode(folder / f"v{number}_00000.mp4", frames, rate=10) for number, frames in enumerate(noise)]
    return [Dive(path.stem, "train", path, number, 10) for number, path in enumerate(paths)]


def trained(name: str, dives: list[Dive], folder: Path, init: Path | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    checkpoint = folder / f"{name}.safetensors"
    run = Run(name, 0, {}, checkpoint, folder / f"{name}.csv", folder / f"{name}.resume")
    train_rival(CONFIG, RIVALS[name], dives, LABELS, SETTINGS.training, init, run)
    return checkpoint


def test_every_rival_trains_alike_twice_and_every_row_predicts(dives: list[Dive], tmp_path: Path) -> None:
    for name in RIVALS:
        first, second = (trained(name, dives, tmp_path / folder) for folder in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()
    rows = {row: load_row(row, CONFIG, tmp_path / "a") for row in ROWS}
    scores = predict_rivals(CONFIG, rows, dives)
    assert scores.keys() == RIVALS.keys()
    for values in scores.values():
        assert values.shape == (len(dives), LABELS)
        np.testing.assert_allclose(np.exp(values).sum(1), 1, rtol=1e-5)
    two_streams = scores["tsn_rgb"] - scores["tsn_flow"]
    assert np.abs(two_streams).max() > 0
    costs = cost_rivals(CONFIG, rows, dives).set_index("name")
    assert [costs.index.name, *costs.columns] == list(COLUMNS)
    assert (costs > 0).all(axis=None)
    assert costs.loc["tsn_flow", "parameters"] > 1.9 * costs.loc["tsn_rgb", "parameters"]


def test_the_backbone_comes_from_the_pre_training_and_the_classifier_does_not(tmp_path: Path) -> None:
    torch.manual_seed(1)
    pretrained = build_rival(PRETRAININGS["r2plus1d_corpus"], CONFIG, 21)
    path = tmp_path / "corpus.safetensors"
    save_checkpoint(path, pretrained.state_dict(), {})
    network = build_rival(RIVALS["r2plus1d_pretrained"], CONFIG, LABELS)
    start_weights(network, RIVALS["r2plus1d_pretrained"], SETTINGS, path)
    saved, own = load_checkpoint(path)[0], network.state_dict()
    same = {name for name in own if own[name].shape == saved[name].shape and torch.equal(own[name], saved[name])}
    assert {name for name in own if name.startswith("backbone.")} <= same
    assert "classifier.1.weight" not in same


@pytest.mark.parametrize(
    ("name", "asked_for"),
    [("trn", "ResNet50_Weights.IMAGENET1K_V1"), ("r2plus1d_pretrained", "R2Plus1D_18_Weights.KINETICS400_V1")],
)
def test_full_networks_start_from_the_weights_of_torchvision(
    name: str, asked_for: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SETTINGS.model_copy(update={"networks": "full"})
    config = CONFIG.model_copy(update={"recognition": CONFIG.recognition.model_copy(update={"rivals": full})})
    asked = []

    def downloaded(self: WeightsEnum, progress: bool, check_hash: bool) -> dict[str, torch.Tensor]:
        asked.append((str(self), check_hash))
        builder = resnet50 if name == "trn" else r2plus1d_18
        tensors = builder().state_dict().items()  # the published files are older than that counter
        return {key: torch.full_like(value, 3) for key, value in tensors if not key.endswith("num_batches_tracked")}

    monkeypatch.setattr(WeightsEnum, "get_state_dict", downloaded)
    network = build_rival(RIVALS[name], config, LABELS)
    start_weights(network, RIVALS[name], full, None)
    assert asked == [(asked_for, True)]
    own = network.state_dict()
    weights = {key for key in own if key.startswith("backbone.") and not key.endswith("num_batches_tracked")}
    assert all((own[key] == 3).all() for key in weights)
    assert not any((own[key] == 3).all() for key in own if not key.startswith("backbone."))


def test_random_weights_stay_random_in_full_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    full = SETTINGS.model_copy(update={"networks": "full"})
    monkeypatch.delattr(WeightsEnum, "get_state_dict")
    network = torch.nn.Linear(2, 2)
    before = network.weight.clone()
    start_weights(network, RIVALS["r2plus1d"], full, None)
    assert torch.equal(network.weight, before)


def test_small_networks_do_not_start_from_a_large_backbone() -> None:
    raw = CONFIG.model_dump(mode="json")
    raw["model"]["backbone"] = "resnet50"
    with pytest.raises(ConfigError, match=r"recognition\.rivals\.networks"):
        check_config(raw, Path("config.yaml"))


def test_rows_are_those_that_are_trained() -> None:
    assert ROWS.keys() == RIVALS.keys()
    assert [name for name, _ in ROWS["tsn_flow"]] == ["tsn_rgb", "tsn_flow"]
    assert [rival.network for rival in PRETRAININGS.values()] == ["c3d", "r2plus1d"]
    assert HELD_OUT["r2plus1d_pretrained_hold_out"] == RIVALS["r2plus1d_pretrained"]
    assert replace(RIVALS["r2plus1d_pretrained"], initial=None) == RIVALS["r2plus1d"]
