"""Figure 3 of anyone's video: which moments are shown, and that what is shown of them is what the offsets say."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from dimofs.cli import app
from dimofs.datasets.records import DatasetError
from dimofs.flow import farneback
from dimofs.motion.predict import pair_motions
from dimofs.pairs.loading import network_frames
from dimofs.training.checkpoint import CheckpointError, save_checkpoint
from dimofs.video import show
from dimofs.video.read import open_footage
from dimofs.video.show import show_video


@pytest.fixture(scope="module")
def coefficients(model):
    return torch.randn((2, 8 * model.fpn_channels), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def read_out(tmp_path_factory, coefficients, checkpoint):
    path = tmp_path_factory.mktemp("read_out") / "read_out.safetensors"
    weights = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    save_checkpoint(path, {"coefficients": coefficients}, {"sha256": {checkpoint.name: weights}})
    return path


def test_rows_are_what_the_offsets_say_of_moments_spread_over_the_video(
    clip, checkpoint, read_out, detector, model, coefficients
):
    """This network takes anything for a person: 17 of 23 frames have a Frame B at δ = 6."""
    examples = show_video(clip, checkpoint, read_out, 6)
    assert [(row.position_a, row.position_b) for row in examples] == [(1, 7), (5, 11), (8, 14), (11, 17), (15, 21)]
    pictures = [picture.image for picture in open_footage(clip).pictures()]
    for row in examples:
        a, b = row.position_a, row.position_b
        np.testing.assert_array_equal(row.frame_a, pictures[a])
        np.testing.assert_array_equal(row.frame_b, pictures[b])

        def load(wanted):
            return network_frames([pictures[at] for at in wanted], model)

        (motion,) = pair_motions(detector, load, [(a, b)], model, 2)
        np.testing.assert_allclose(row.predicted, motion.read_out(coefficients), atol=1e-4)
        np.testing.assert_allclose(row.channels, motion.channels(row.channel), atol=1e-4)
        np.testing.assert_allclose(row.saliency, motion.saliency()[0], atol=1e-3)
        np.testing.assert_array_equal(row.farneback, farneback(row.frame_a, row.frame_b, "detect_and_track"))
        assert row.video == "walk"
        assert row.exact is None


def test_backwards_and_without_a_read_out(clip, checkpoint):
    examples = show_video(clip, checkpoint, None, -20)
    assert [(row.position_a, row.position_b) for row in examples] == [(20, 0), (21, 1), (22, 2)]
    assert all(row.predicted is None for row in examples)


def test_large_frames_are_shown_smaller(clip, checkpoint, monkeypatch):
    monkeypatch.setattr(show, "LONGEST", 48)
    (row, *_) = show_video(clip, checkpoint, None, 20)
    assert row.frame_a.shape == row.frame_b.shape == (32, 48, 3)
    assert row.saliency.shape == (32, 48)
    assert row.channels.shape == (2, 32, 48, 2)


def test_only_frames_with_people_are_shown(clip, checkpoint, monkeypatch):
    real = show.analyse_pictures

    def early(*arguments):
        for frame in real(*arguments):
            yield frame if frame.picture.position < 4 else replace(frame, people=())

    monkeypatch.setattr(show, "analyse_pictures", early)
    assert [row.position_a for row in show_video(clip, checkpoint, None, 5)] == [0, 1, 2, 3]


def test_where_nobody_is_found_the_message_says_so(clip, checkpoint, monkeypatch):
    monkeypatch.setattr(show, "SCORE", 1.1)
    with pytest.raises(DatasetError, match=r"walk.mp4: the network finds nobody .* in the 18 frames .* δ = 5"):
        show_video(clip, checkpoint, None, 5)


@pytest.mark.parametrize(
    ("delta", "says"), [(0, "no motion"), (101, "1 to 100"), (22, None), (23, "another 23 frames away")]
)
def test_gaps(clip, checkpoint, delta, says):
    if says is None:
        assert len(show_video(clip, checkpoint, None, delta)) == 1
        return
    with pytest.raises(DatasetError, match=says):
        show_video(clip, checkpoint, None, delta)


def test_a_read_out_of_another_network_is_refused(clip, checkpoint, tmp_path):
    path = tmp_path / "read_out.safetensors"
    save_checkpoint(path, {"coefficients": torch.zeros(2, 40)}, {})
    with pytest.raises(CheckpointError, match="fit it again"):
        show_video(clip, checkpoint, path, 5)


def test_the_verb_writes_both_files_and_says_what_is_wrong(clip, checkpoint, read_out, tmp_path):
    def called(*arguments: str):
        return CliRunner().invoke(app, ["figure", *arguments])

    out = tmp_path / "clip" / "figure3.pdf"
    given = ["--video", str(clip), "--checkpoint", str(checkpoint), "--out"]
    done = called("3", *given, str(out), "--read-out", str(read_out), "--delta", "5")
    assert done.exit_code == 0, done.output
    assert {path.name for path in out.parent.iterdir()} == {"figure3.pdf", "figure3.png"}
    assert b"/Type /Page" in out.read_bytes()
    assert called("6", *given, str(out)).exit_code == 2
    wrong = called("3", *given, str(tmp_path / "figure3.png"))
    assert "must end in .pdf" in str(wrong.exception)
    missing = called("3", "--video", str(clip), "--checkpoint", str(tmp_path / "no"), "--out", str(out))
    assert "no such checkpoint" in str(missing.exception)
