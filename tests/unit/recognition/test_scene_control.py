"""The scene-only control: nothing of the diver is left, and the rest is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dimofs.config import load_config
from dimofs.datasets.diving48 import Dive
from dimofs.model.backbone import Backbone
from dimofs.recognition import scene as module
from dimofs.recognition.scene import hide, scene_descriptors

SMOKE = Path(__file__).parents[3] / "scenarios/smoke/config/config.yaml"


def test_what_is_hidden_has_the_mean_colour_of_the_rest() -> None:
    frame = np.zeros((4, 4, 3), np.uint8)
    frame[:, :2] = (10, 20, 30)
    frame[:2, 2:] = (20, 40, 60)
    hidden = np.zeros((4, 4), bool)
    hidden[2:, 2:] = True
    frame[hidden] = 200
    painted = hide(frame, hidden)
    assert painted[3, 3].tolist() == [13, 27, 40]
    np.testing.assert_array_equal(painted[~hidden], frame[~hidden])
    assert frame[3, 3].tolist() == [200, 200, 200]
    assert not hide(frame, np.ones((4, 4), bool)).any()


def test_descriptors_do_not_depend_on_the_diver(
    tmp_path: Path, encode: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two dives that differ inside the cover alone have one descriptor; outside it they do not."""
    model = load_config(SMOKE).model
    hidden = np.zeros((6, 64, 64), bool)
    hidden[:, 16:48, 16:48] = True
    monkeypatch.setattr(module, "load_sidecar", lambda path: path)
    monkeypatch.setattr(module, "covers", lambda _: hidden)
    dives = []
    for index, (inside, outside) in enumerate([(200, 90), (20, 90), (20, 160)]):
        picture = np.full((64, 64, 3), outside, np.uint8)
        picture[24:40, 24:40] = inside
        path = encode(tmp_path / f"v_{index:05d}.mp4", [picture] * 6, pixels="yuv444p", qp="0")
        dives.append(Dive(path.stem, "train", path, 0, 6))
    torch.manual_seed(0)
    backbone = Backbone(model, live_norm=False)
    found = scene_descriptors(backbone, dives, tmp_path, 3, model)
    assert found.shape == (3, 4 * model.fpn_channels)
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    assert np.abs(found[1] - found[2]).max() > 1e-3


def test_frames_are_spread_over_the_dive_and_each_has_its_own_cover(
    tmp_path: Path, encode: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The diver crosses the frame; the last dive differs in its last frame alone."""
    model = load_config(SMOKE).model
    hidden = np.zeros((6, 64, 64), bool)
    for position in range(6):
        hidden[position, 16:48, 8 * position : 8 * position + 16] = True
    monkeypatch.setattr(module, "load_sidecar", lambda path: path)
    monkeypatch.setattr(module, "covers", lambda _: hidden)
    dives = []
    for index, (inside, last) in enumerate([(200, 90), (20, 90), (20, 160)]):
        pictures = [np.full((64, 64, 3), last if position == 5 else 90, np.uint8) for position in range(6)]
        for picture, covered in zip(pictures, hidden, strict=True):
            picture[covered] = inside
        path = encode(tmp_path / f"v_{index:05d}.mp4", pictures, pixels="yuv444p", qp="0")
        dives.append(Dive(path.stem, "train", path, 0, 6))
    torch.manual_seed(0)
    found = scene_descriptors(Backbone(model, live_norm=False), dives, tmp_path, 3, model)
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    assert np.abs(found[1] - found[2]).max() > 1e-3
