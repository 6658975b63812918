"""Labelled footage becomes clips that the reader of PoseTrack18 reads, with nothing of one part in the other."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dimofs.config import Footage, FrameRange
from dimofs.datasets.folders import replacing_folder
from dimofs.datasets.footage import MARKER, clips, cut, image_name, write_sequence
from dimofs.datasets.posetrack import read_posetrack18
from dimofs.datasets.records import DatasetError, Person

INFO = {"description": "Pseudo-labels: poses that a teacher found (the test), not annotations by people."}
FRAMES = 30


def person(frame: int) -> Person:
    """Somebody whose nose is at (frame, 5), so that a label tells which frame it is of."""
    joints = np.zeros((17, 2), np.float32)
    joints[0], joints[5] = (frame, 5), (frame, 9)
    labelled = np.zeros(17, bool)
    labelled[[0, 5]] = True
    return Person(3, np.array([1, 2, 4, 6], np.float32), np.array([1, 2, 2, 4], np.float32), joints, labelled)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A video of 30 frames, frame i of the colour 8 i."""
    root = tmp_path / "labelled"
    for frame in range(FRAMES):
        path = root / image_name("train", "walk", frame)
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((16, 24, 3), 8 * frame, np.uint8))
    write_sequence(root, "train", "walk", [(person(frame),) for frame in range(FRAMES)], INFO)
    return root


def footage(**changes: object) -> Footage:
    parts = {"train": {"first": 0, "last": 15}, "val": {"first": 18, "last": 29}}
    return Footage.model_validate({"video": "v", "poses": "p", **parts, "clip_frames": 4, "margin": 2} | changes)


def shade(path: Path) -> int:
    return round(float(cv2.imread(str(path)).mean()) / 8)


def test_what_is_written_is_read_back(labelled: Path) -> None:
    (video,) = read_posetrack18(labelled)
    assert (video.name, video.split, len(video.frames)) == ("walk", "train", FRAMES)
    (found,) = video.frames[7].people
    wanted = person(7)
    assert found.track_id == 3
    for name in ("box", "head_box", "joints", "labelled"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    file = json.loads((labelled / "annotations/train/walk.json").read_text(encoding="utf-8"))
    assert "Pseudo-labels" in file["info"]["description"]


def test_clips_hold_their_frames_with_labels_in_the_middle(labelled: Path, tmp_path: Path) -> None:
    cut("posetrack18", labelled, footage(), tmp_path / "posetrack18")
    videos = read_posetrack18(tmp_path / "posetrack18")
    parts = {split: [video for video in videos if video.split == split] for split in ("train", "val")}
    assert [video.name for video in parts["val"]] == ["000018_walk", "000022_walk", "000026_walk"]
    assert len(parts["train"]) == 4
    for split, part in (("train", range(16)), ("val", range(18, 30))):
        labels = []
        for video in parts[split]:
            frames = [shade(frame.path) for frame in video.frames]
            assert frames == list(range(frames[0], frames[-1] + 1))
            assert set(frames) <= set(part)  # margins stay inside the part
            first = int(video.name[:6])
            assert [n for n, frame in zip(frames, video.frames, strict=True) if frame.labelled] == list(
                range(first, first + 4)
            )
            assert frames[0] == max(part[0], first - 2)
            assert frames[-1] == min(part[-1], first + 5)
            labels += [
                (number, frame.people[0].joints[0, 0])
                for number, frame in zip(frames, video.frames, strict=True)
                if frame.people
            ]
        assert sorted(labels) == [(number, number) for number in part]


def test_stills_are_the_labelled_training_frames_alone(labelled: Path, tmp_path: Path) -> None:
    cut("stills", labelled, footage(), tmp_path / "stills")
    videos = read_posetrack18(tmp_path / "stills")
    assert {video.split for video in videos} == {"train"}
    assert sorted(shade(frame.path) for video in videos for frame in video.frames) == list(range(16))
    assert all(frame.labelled for video in videos for frame in video.frames)


def test_a_frame_that_the_teacher_left_out_stays_unlabelled(labelled: Path, tmp_path: Path) -> None:
    people = [(person(frame),) if frame != 5 else None for frame in range(FRAMES)]
    write_sequence(labelled, "train", "walk", people, INFO)
    cut("posetrack18", labelled, footage(), tmp_path / "cut")
    frames = [frame for video in read_posetrack18(tmp_path / "cut") for frame in video.frames]
    assert 5 not in {shade(frame.path) for frame in frames if frame.labelled}
    assert all(frame.people for frame in frames if frame.labelled)


def test_every_label_file_says_whose_poses_it_holds(labelled: Path, tmp_path: Path) -> None:
    cut("posetrack18", labelled, footage(), tmp_path / "cut")
    files = list((tmp_path / "cut/annotations").rglob("*.json"))
    assert len(files) == 7
    assert all(json.loads(file.read_text(encoding="utf-8"))["info"] == INFO for file in files)
    assert INFO["description"] in (tmp_path / "cut" / MARKER).read_text(encoding="utf-8")


def test_equal_cuts_give_equal_files(labelled: Path, tmp_path: Path) -> None:
    contents = []
    for _ in range(2):
        cut("posetrack18", labelled, footage(), tmp_path / "cut")
        files = sorted(path for path in (tmp_path / "cut").rglob("*") if path.is_file())
        contents.append([(path, path.read_bytes()) for path in files])
    assert contents[0] == contents[1]


@pytest.mark.parametrize(("name", "changes", "says"), [
    ("posetrack18", {"val": {"first": 18, "last": 30}}, "has 30 frames, so there is no frame 30"),
    ("jhmdb", {}, "jhmdb: cannot be cut"),
])  # fmt: skip
def test_what_cannot_be_cut_is_refused(
    labelled: Path, tmp_path: Path, name: str, changes: dict[str, object], says: str
) -> None:
    with pytest.raises(DatasetError, match=says):
        cut(name, labelled, footage(**changes), tmp_path / "cut")
    assert not (tmp_path / "cut").exists()


def test_two_videos_are_refused(labelled: Path, tmp_path: Path) -> None:
    (labelled / "annotations/train/run.json").write_bytes((labelled / "annotations/train/walk.json").read_bytes())
    with pytest.raises(DatasetError, match="holds 2 videos"):
        cut("stills", labelled, footage(), tmp_path / "cut")


@given(st.integers(0, 50), st.integers(1, 400), st.integers(1, 60))
def test_clips_divide_a_part(first: int, frames: int, length: int) -> None:
    found = clips(FrameRange(first=first, last=first + frames - 1), length)
    assert [frame for clip in found for frame in range(clip.first, clip.last + 1)] == list(range(first, first + frames))
    sizes = {clip.last - clip.first + 1 for clip in found}
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= 2 * length


def test_a_folder_of_others_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").touch()
    with pytest.raises(DatasetError, match="photos: holds files"), replacing_folder(tmp_path / "photos", MARKER, ""):
        pass
    assert (tmp_path / "photos/a.jpg").exists()


@pytest.mark.parametrize("marked", [True, False])
def test_a_link_is_refused_before_the_work(tmp_path: Path, marked: bool) -> None:
    (tmp_path / "large_disk").mkdir()
    if marked:
        (tmp_path / "large_disk" / MARKER).touch()
    (tmp_path / "clips").symlink_to("large_disk")
    with (
        pytest.raises(DatasetError, match=r"clips: is a link.*large_disk"),
        replacing_folder(tmp_path / "clips", MARKER, ""),
    ):
        pytest.fail("the work has begun")
    assert (tmp_path / "clips").is_symlink()


@pytest.mark.parametrize("info", [None, "poses", {}, {"description": 1}])
def test_labels_that_do_not_say_whose_they_are_are_named(labelled: Path, tmp_path: Path, info: object) -> None:
    path = labelled / "annotations/train/walk.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | {"info": info}), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"walk\.json: info\.description must say"):
        cut("posetrack18", labelled, footage(), tmp_path / "posetrack18")


def test_the_labelled_video_is_not_replaced_by_its_clips(labelled: Path) -> None:
    (labelled / MARKER).touch()
    with pytest.raises(DatasetError, match="is the labelled video itself"):
        cut("posetrack18", labelled, footage(), labelled.parent / "." / labelled.name)
    assert len(read_posetrack18(labelled)[0].frames) == FRAMES


def test_a_folder_that_was_not_finished_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing_folder(tmp_path / "new", MARKER, "") as folder:
        (folder / "no_such_folder/a.jpg").touch()
    assert not list(tmp_path.iterdir())
