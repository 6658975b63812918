import json
import os
import re
import signal
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest

from dimofs.cli import main
from dimofs.datasets.posetrack import read_labels, read_posetrack18_file
from dimofs.datasets.records import POSETRACK_JOINTS, DatasetError
from dimofs.video import run as module
from dimofs.video.analyse import BATCH, analyse
from dimofs.video.outputs import Overlay, Part
from dimofs.video.read import VideoFile
from dimofs.video.run import Summary, run

ROOT = Path(__file__).parents[3]
DELTAS = (2, -3)


@pytest.fixture(autouse=True)
def short_parts(monkeypatch):
    monkeypatch.setattr(module, "PART", 2 * BATCH)


@pytest.fixture(scope="module")
def out(tmp_path_factory, clip, checkpoint):
    """The files of one run, in one part."""
    folder = tmp_path_factory.mktemp("out")
    assert run(clip, checkpoint, folder, deltas=DELTAS, score=0.0, dense=True).frames == 23
    return folder


@pytest.fixture(scope="module")
def analysed(clip, checkpoint):
    return list(analyse(clip, checkpoint, deltas=DELTAS, score=0.0))


def overlay(folder):
    """Times and pictures of the overlay."""
    with av.open(str(folder / "overlay.mp4")) as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def assert_same(one, other):
    assert (one / "poses.json").read_bytes() == (other / "poses.json").read_bytes()
    tables = [pd.read_parquet(folder / "features.parquet") for folder in (one, other)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    times, pictures = zip(*overlay(one), strict=True)
    other_times, other_pictures = zip(*overlay(other), strict=True)
    np.testing.assert_allclose(times, other_times, atol=1e-4)
    # where a part begins the encoder starts anew, so pictures are alike and not the same
    assert all(np.abs(a.astype(int) - b).mean() < 3 for a, b in zip(pictures, other_pictures, strict=True))


class TestFiles:
    def test_there_is_nothing_else(self, out):
        assert sorted(path.name for path in out.iterdir()) == ["dense", "features.parquet", "overlay.mp4", "poses.json"]

    def test_poses_and_tracks_are_those_of_the_api_in_posetracks_form(self, out, analysed, tmp_path):
        record = read_labels(out / "poses.json")
        assert [image["timestamp"] for image in record["images"]] == pytest.approx([n / 25 for n in range(23)])
        assert {image["nframes"] for image in record["images"]} == {23}
        for image in record["images"]:
            (tmp_path / image["file_name"]).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / image["file_name"]).touch()
        video = read_posetrack18_file(out / "poses.json", tmp_path, "val")
        for frame, expected in zip(video.frames, analysed, strict=True):
            assert [person.track_id for person in frame.people] == [person.track for person in expected.people]
            for person, same in zip(frame.people, expected.people, strict=True):
                np.testing.assert_allclose(person.joints, same.joints, atol=1e-3)
                np.testing.assert_allclose(person.box, same.box, atol=1e-3)
        ids = [annotation["id"] for annotation in record["annotations"]]
        assert len(set(ids)) == len(ids)

    def test_features_are_those_of_the_api(self, out, analysed):
        table = pd.read_parquet(out / "features.parquet")
        assert len(table) == sum(15 * 2 * len(frame.people) for frame in analysed)
        assert set(table["joint"]) == {name for name in POSETRACK_JOINTS if not name.endswith("_ear")}
        rows = table.set_index(["frame", "track", "delta", "joint"])
        for position, delta in ((0, 2), (7, -3), (22, 2)):
            frame = analysed[position]
            for person in frame.people:
                for slot, joint in ((0, "nose"), (1, "head_bottom"), (16, "right_ankle")):
                    row = rows.loc[(position, person.track, delta, joint)]
                    assert row["frame_b"] == min(max(position + delta, 0), 22)
                    assert row["time"] == pytest.approx(position / 25)
                    np.testing.assert_allclose([row["x"], row["y"]], person.joints[slot], atol=1e-3)
                    assert row["joint_score"] == pytest.approx(person.joint_scores[slot], abs=1e-4)
                    np.testing.assert_allclose(row["features"], person.features[delta][slot], atol=1e-3)

    def test_the_overlay_shows_every_frame_at_its_time(self, out, frames):
        times, pictures = zip(*overlay(out), strict=True)
        np.testing.assert_allclose(times, np.arange(23) / 25, atol=1e-4)
        assert pictures[0].shape == (428, 960, 3)  # 96×64 pixels drawn 640 wide, and half of that beside it
        left = cv2.resize(pictures[5][:, :640], (96, 64), interpolation=cv2.INTER_AREA)
        distances = [np.abs(left.astype(int) - frame).mean() for frame in frames]
        assert np.argmin(distances) == 5

    def test_dense_maps_are_the_offsets(self, out, analysed):
        assert len(list((out / "dense").iterdir())) == 23
        with np.load(out / "dense/000006.npz") as arrays:
            assert sorted(arrays) == sorted(f"d{delta:+d}_p{level}" for delta in DELTAS for level in (2, 3, 4, 5))
            for level in range(4):
                expected = analysed[6].offsets[-3][level]
                np.testing.assert_allclose(arrays[f"d-3_p{level + 2}"], expected, atol=2e-3, rtol=1e-2)

    def test_parts_do_not_show(self, out, clip, checkpoint, tmp_path):
        run(clip, checkpoint, tmp_path, deltas=DELTAS, score=0.0)
        assert_same(tmp_path, out)
        assert not (tmp_path / "dense").exists()

    def test_what_was_in_the_folder_before_stays(self, clip, checkpoint, tmp_path):
        others = [tmp_path / name for name in ("notes.txt", "dense/mine.npz", ".resume/pose/x.safetensors")]
        for path in [*others, tmp_path / "dense/000999.npz"]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("mine")
        run(clip, checkpoint, tmp_path, deltas=(1,), score=0.0)
        assert all(path.read_text() == "mine" for path in [*others, tmp_path / "dense/000999.npz"])
        run(clip, checkpoint, tmp_path, deltas=(1,), score=0.0, dense=True)
        assert all(path.read_text() == "mine" for path in others)
        assert not (tmp_path / "dense/000999.npz").exists()  # of an earlier, longer run
        assert (tmp_path / "dense/000022.npz").exists()

    def test_the_source_is_not_overwritten(self, clip, checkpoint, tmp_path):
        source = tmp_path / "overlay.mp4"
        source.write_bytes(clip.read_bytes())
        with pytest.raises(DatasetError, match=r"overlay\.mp4: would be overwritten"):
            run(source, checkpoint, tmp_path, deltas=(1,))
        assert source.read_bytes() == clip.read_bytes()

    def test_a_name_with_a_colon_is_a_file(self, clip, checkpoint, tmp_path, monkeypatch):
        (tmp_path / "12:30 walk.mp4").write_bytes(clip.read_bytes())
        monkeypatch.chdir(tmp_path)
        assert run("12:30 walk.mp4", checkpoint, tmp_path / "out", deltas=(1,), score=1.0).frames == 23


@pytest.fixture(autouse=True)
def interruptible():
    """What a shell starts in the background ignores Ctrl-C, and so would these tests there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class TestInterruption:
    @pytest.fixture
    def interrupted(self, tmp_path, clip, checkpoint, monkeypatch):
        """A run that ended within the second part."""
        add = Part.add

        def stopping(part, frame):
            if frame.picture.position == 13:
                raise KeyboardInterrupt
            add(part, frame)

        with monkeypatch.context() as patch:
            patch.setattr(Part, "add", stopping)
            with pytest.raises(KeyboardInterrupt):
                run(clip, checkpoint, tmp_path, deltas=DELTAS, score=0.0)
        assert not (tmp_path / "poses.json").exists()
        return tmp_path

    @pytest.fixture
    def added(self, monkeypatch):
        """The frames that are written from now on."""
        add, positions = Part.add, []

        def counting(part, frame):
            positions.append(frame.picture.position)
            add(part, frame)

        monkeypatch.setattr(Part, "add", counting)
        return positions

    def test_the_same_call_goes_on_and_ends_as_without(self, interrupted, added, out, clip, checkpoint):
        summary = run(clip, checkpoint, interrupted, deltas=DELTAS, score=0.0)
        assert added == list(range(8, 23))
        assert_same(interrupted, out)
        tracks = {annotation["track_id"] for annotation in json.loads((out / "poses.json").read_text())["annotations"]}
        assert summary == Summary(23, len(tracks), 0)

    @pytest.mark.parametrize("change", [{"deltas": (2,)}, {"score": 0.1}, {"dense": True}, {"size": 96}])
    def test_another_call_starts_anew(self, interrupted, added, clip, checkpoint, change):
        run(clip, checkpoint, interrupted, **{"deltas": DELTAS, "score": 0.0, **change})
        assert added == list(range(23))

    def test_another_video_of_that_name_starts_anew(self, interrupted, added, clip, checkpoint):
        os.utime(clip, (1, 1))
        run(clip, checkpoint, interrupted, deltas=DELTAS, score=0.0)
        assert added == list(range(23))

    @pytest.mark.parametrize("content", [b"", b"{", b"[]"])
    def test_what_was_left_damaged_is_not_used(self, interrupted, added, clip, checkpoint, content):
        (interrupted / ".dimofs-video/job.json").write_bytes(content)
        run(clip, checkpoint, interrupted, deltas=DELTAS, score=0.0)
        assert added == list(range(23))

    @pytest.mark.parametrize("table", ["frames", "people", "features"])
    def test_a_part_that_cannot_be_read_is_made_again(self, interrupted, added, out, clip, checkpoint, table):
        (interrupted / f".dimofs-video/000000/{table}.parquet").write_bytes(b"")
        run(clip, checkpoint, interrupted, deltas=DELTAS, score=0.0)
        assert added == list(range(23))
        assert_same(interrupted, out)

    @pytest.mark.parametrize("content", [b"", None])
    def test_a_part_without_its_overlay_is_made_again(self, interrupted, added, out, clip, checkpoint, content):
        drawn = interrupted / ".dimofs-video/000000/overlay.mp4"
        drawn.unlink()
        if content is not None:
            drawn.write_bytes(content)
        run(clip, checkpoint, interrupted, deltas=DELTAS, score=0.0)
        assert added == list(range(23))
        assert_same(interrupted, out)

    def test_a_hole_in_the_parts_is_made_again(self, interrupted, added, out, clip, checkpoint):
        (interrupted / ".dimofs-video/000000").rename(interrupted / ".dimofs-video/000001")
        run(clip, checkpoint, interrupted, deltas=DELTAS, score=0.0)
        assert added == list(range(23))
        assert_same(interrupted, out)

    def test_killed_while_dense_maps_are_placed(self, tmp_path, added, out, clip, checkpoint, monkeypatch):
        placed = []

        def killed(source, target):
            placed.append(target)
            if len(placed) == 10:
                raise KeyboardInterrupt
            link(source, target)

        link = os.link
        with monkeypatch.context() as patch:
            patch.setattr(os, "link", killed)
            with pytest.raises(KeyboardInterrupt):
                run(clip, checkpoint, tmp_path, deltas=DELTAS, score=0.0, dense=True)
        del added[:]
        run(clip, checkpoint, tmp_path, deltas=DELTAS, score=0.0, dense=True)
        assert added == []
        assert [path.name for path in sorted((tmp_path / "dense").iterdir())] == [f"{n:06d}.npz" for n in range(23)]
        assert (tmp_path / "dense/000003.npz").read_bytes() == (out / "dense/000003.npz").read_bytes()

    def test_killed_while_the_parts_are_removed(self, tmp_path, added, out, clip, checkpoint, monkeypatch):
        def killed(folder, **_):
            (folder / "000000/people.parquet").unlink(missing_ok=True)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(
                module.shutil, "rmtree", lambda folder, **k: killed(folder) if (folder / "000002").exists() else None
            )
            with pytest.raises(KeyboardInterrupt):
                run(clip, checkpoint, tmp_path, deltas=DELTAS, score=0.0)
        del added[:]
        run(clip, checkpoint, tmp_path, deltas=DELTAS, score=0.0)
        assert added == list(range(23))
        assert_same(tmp_path, out)

    def test_interrupted_while_the_parts_are_joined(self, tmp_path, added, out, clip, checkpoint, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(module, "join", lambda *_: os.kill(os.getpid(), signal.SIGINT))
            with pytest.raises(KeyboardInterrupt):
                run(clip, checkpoint, tmp_path, deltas=DELTAS, score=0.0)
        del added[:]
        run(clip, checkpoint, tmp_path, deltas=DELTAS, score=0.0)
        assert added == []
        assert_same(tmp_path, out)


def test_nobody_in_a_single_frame_of_an_odd_size(tmp_path, encode, frames, checkpoint):
    path = encode(tmp_path / "one.mp4", [np.ascontiguousarray(frames[0][:51, :77])], pixels="yuv444p")
    assert run(path, checkpoint, tmp_path / "out", score=1.0) == Summary(1, 0, 0)
    assert len(pd.read_parquet(tmp_path / "out/features.parquet")) == 0
    record = json.loads((tmp_path / "out/poses.json").read_text())
    assert (len(record["images"]), record["annotations"]) == (1, [])
    ((time, picture),) = overlay(tmp_path / "out")
    assert time == 0
    assert picture.shape == (424, 960, 3)


def test_a_variable_frame_rate_stays_what_it_is(tmp_path, encode, frames, checkpoint):
    ticks = [0, 1, 5, 6, 20, 21, 22, 40, 41, 50]
    run(encode(tmp_path / "v.mp4", frames[:10], ticks=ticks), checkpoint, tmp_path / "out", score=1.0)
    np.testing.assert_allclose([time for time, _ in overlay(tmp_path / "out")], np.array(ticks) / 25, atol=1e-3)


def test_damaged_frames_are_told_of(tmp_path, frames, checkpoint):
    for number, frame in enumerate(frames[:3]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), frame)
    (tmp_path / "1.png").write_bytes(b"?")
    assert run(tmp_path, checkpoint, tmp_path / "out", score=1.0) == Summary(2, 0, 1)


def test_a_video_whose_size_changes_is_refused(tmp_path, frames, checkpoint):
    for number, frame in enumerate([*frames[:9], frames[9][:32]]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), frame)
    with pytest.raises(DatasetError, match=r"9\.png: frame 9 is 96×32 pixels"):
        run(tmp_path, checkpoint, tmp_path / "out", score=1.0)


def test_a_live_source_ends_with_ctrl_c_and_is_written(tmp_path, clip, checkpoint, monkeypatch):
    pictures = VideoFile.pictures

    def interrupting(self):
        for picture in pictures(self):
            if picture.position == 9:
                os.kill(os.getpid(), signal.SIGINT)
            yield picture

    monkeypatch.setattr(VideoFile, "pictures", interrupting)
    summary = run(f"file://{clip}", checkpoint, tmp_path, score=1.0)
    assert 10 <= summary.frames < 23
    assert len(overlay(tmp_path)) == summary.frames


class TestCommandLine:
    @pytest.fixture
    def command(self, monkeypatch, capsys):
        """Calls `dimofs video`; gives how it ends, its output and its errors."""

        def call(*arguments):
            monkeypatch.setattr(sys, "argv", ["dimofs", "video", *map(str, arguments)])
            with pytest.raises(SystemExit) as end:
                main()
            return end.value.code, *capsys.readouterr()

        return call

    def test_one_line_when_it_is_done(self, command, clip, checkpoint, tmp_path):
        code, output, errors = command(clip, "--checkpoint", checkpoint, "--out", tmp_path, "--delta", 1, "--delta", -1)
        assert code == 0
        assert re.fullmatch(rf"{tmp_path}: 23 frames, [1-9][0-9]* tracks\n", output)
        assert "23/23" in errors
        assert "frame/s" in errors
        assert set(pd.read_parquet(tmp_path / "features.parquet")["delta"]) == {1, -1}

    def test_one_line_when_there_is_no_checkpoint(self, command, clip, tmp_path):
        code, _, _ = command(clip, "--checkpoint", tmp_path / "x.safetensors", "--out", tmp_path)
        assert code.endswith(
            "x.safetensors: no such checkpoint; `make results/table1.csv` trains one, or name yours by --checkpoint"
        )

    def test_one_line_when_it_is_interrupted(self, command, clip, checkpoint, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "join", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        code, _, _ = command(clip, "--checkpoint", checkpoint, "--out", tmp_path)
        assert code == "dimofs: interrupted; the same command goes on where it was"


def test_the_example_of_the_readme_runs(tmp_path, clip, checkpoint, monkeypatch, capsys):
    """As it stands there, beside a video and a checkpoint of those names."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    example = readme.split("```python\n")[1].split("```")[0]
    assert "analyse(" in example
    (tmp_path / "walk.mp4").write_bytes(clip.read_bytes())
    (tmp_path / "results/pretrain").mkdir(parents=True)
    (tmp_path / "results/pretrain/dimofs.safetensors").write_bytes(checkpoint.read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    people = sum(len(frame.people) for frame in analyse(clip, checkpoint))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == people > 0
    assert all(line.endswith(", 64 numbers") for line in lines)


def test_the_overlay_has_the_colours_of_the_video(tmp_path, encode, checkpoint):
    red = np.full((64, 96, 3), (230, 30, 20), np.uint8)
    run(encode(tmp_path / "red.mp4", [red] * 2), checkpoint, tmp_path / "out", score=1.0)
    for _, picture in overlay(tmp_path / "out"):
        np.testing.assert_allclose(np.median(picture[:, :640], axis=(0, 1)), red[0, 0], atol=8)


def test_joints_have_their_own_scores(out, analysed):
    """As judged by default: the box's score times the joint's, the neck's between those of the shoulders."""
    annotations = json.loads((out / "poses.json").read_text())["annotations"]
    people = [person for frame in analysed for person in frame.people]
    for annotation, person in zip(annotations, people, strict=True):
        logits = person.joint_scores.astype(float)
        logits[1] = logits[5:7].mean()
        np.testing.assert_allclose(annotation["scores"], person.score / (1 + np.exp(-logits)), atol=1e-5)


def test_frames_that_are_hardly_apart_are_drawn_one_after_another(tmp_path):
    drawn = Overlay(tmp_path / "overlay.mp4")
    for time in (1.0, 1.0 + 1e-7, 1.0 + 2e-7, 1.04):
        drawn.add(np.full((64, 64, 3), 90, np.uint8), time)
    drawn.close()
    times = [time for time, _ in overlay(tmp_path)]
    assert len(times) == 4
    assert times == sorted(set(times))
