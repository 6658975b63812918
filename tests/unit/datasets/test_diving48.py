"""The Diving48 reader: both versions, the real labels, and one clear error for each kind of damage."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dimofs.datasets.diving48 import Dive, as_video, decode, read_diving48, read_frames, read_labels, read_vocabulary
from dimofs.datasets.missing import write_missing
from dimofs.datasets.records import DatasetError

TRAIN = [
    {"vid_name": "-mmq0PT-u8k_00155", "label": 0, "start_frame": 0, "end_frame": 48},
    {"vid_name": "_aB9-_00001", "label": 47, "end_frame": 0},  # V1 has no start_frame
]
TEST = [{"vid_name": "xyz_00002", "label": 30, "start_frame": 0, "end_frame": 156}]


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "rgb").mkdir()
    for version in ("", "V2_"):
        write_json(tmp_path / f"Diving48_{version}train.json", TRAIN)
        write_json(tmp_path / f"Diving48_{version}test.json", TEST)
    for dive in TRAIN + TEST:
        (tmp_path / "rgb" / f"{dive['vid_name']}.mp4").touch()
    return tmp_path


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_reads_both_versions(root: Path, version: Any) -> None:
    (root / ("Diving48_train.json" if version == "V2" else "Diving48_V2_train.json")).unlink()
    dives = read_diving48(root, version)
    assert [(dive.name, dive.split, dive.label, dive.frames) for dive in dives] == [
        ("-mmq0PT-u8k_00155", "train", 0, 49),
        ("_aB9-_00001", "train", 47, 1),
        ("xyz_00002", "test", 30, 157),
    ]
    assert [dive.path for dive in dives] == [root / "rgb" / f"{dive.name}.mp4" for dive in dives]


def test_no_path_begins_with_a_dash(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "rgb")
    paths = [str(dive.path) for dive in read_diving48(Path(".."), "V2")]
    assert paths[0] == str(root / "rgb" / "-mmq0PT-u8k_00155.mp4")
    assert not any(path.startswith("-") for path in paths)


def test_a_missing_video_is_an_error_until_it_is_accepted(root: Path) -> None:
    (root / "rgb" / "-mmq0PT-u8k_00155.mp4").unlink()
    with pytest.raises(DatasetError, match=r"rgb/-mmq0PT-u8k_00155\.mp4: no such video, but Diving48_V2_train\.json"):
        read_diving48(root, "V2")
    assert len(read_labels(root, "V2")) == 3
    write_missing(root, ["-mmq0PT-u8k_00155"])
    assert [dive.name for dive in read_diving48(root, "V2")] == ["_aB9-_00001", "xyz_00002"]


@pytest.mark.parametrize(("field", "value"), [
    ("vid_name", None), ("vid_name", ""), ("vid_name", "../../etc/passwd"), ("vid_name", "a b"), ("vid_name", 3),
    ("label", None), ("label", 48), ("label", -1), ("label", 1.0), ("label", "1"), ("label", True),
    ("end_frame", None), ("end_frame", -1), ("end_frame", 2.5), ("start_frame", 1),
])  # fmt: skip
def test_a_bad_field_is_named(root: Path, field: str, value: Any) -> None:
    entry = {**TRAIN[0], field: value}
    write_json(root / "Diving48_V2_train.json", [TRAIN[1], entry])
    with pytest.raises(DatasetError, match=rf"Diving48_V2_train\.json: \[1\]\.{field} must be"):
        read_labels(root, "V2")
    del entry[field]
    write_json(root / "Diving48_V2_train.json", [TRAIN[1], entry])
    if field != "start_frame":
        with pytest.raises(DatasetError, match=rf"\[1\]\.{field} must be"):
            read_labels(root, "V2")


def test_a_video_in_both_splits_is_an_error(root: Path) -> None:
    write_json(root / "Diving48_V2_test.json", TRAIN[:1])
    with pytest.raises(DatasetError, match=r"Diving48_V2_test\.json: vid_name -mmq0PT-u8k_00155 is listed twice"):
        read_labels(root, "V2")


def test_an_unknown_version_is_named(root: Path) -> None:
    with pytest.raises(DatasetError, match="V1 and V2, got 'V3'"):
        read_labels(root, "V3")  # type: ignore[arg-type]


@pytest.mark.parametrize(("content", "complaint"), [
    (None, "cannot be read"), ('[{"vid_name":', "not complete JSON"), ("{}", "must be a list"),
    ("[3]", r"\[0\] must be an object"),
])  # fmt: skip
def test_a_damaged_file_is_named(root: Path, content: str | None, complaint: str) -> None:
    path = root / "Diving48_train.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(DatasetError, match=rf"{re.escape(str(path))}: .*{complaint}"):
        read_labels(root, "V1")


# ---- the vocabulary


def words(count: int) -> list[list[str]]:
    return [["Back", f"{number}som", "NoTwis", "PIKE"] for number in range(count)]


def test_the_vocabulary_has_a_class_for_each_label(tmp_path: Path) -> None:
    write_json(tmp_path / "Diving48_vocab.json", words(48))
    assert read_vocabulary(tmp_path) == tuple(map(tuple, words(48)))


@pytest.mark.parametrize(("content", "complaint"), [
    (words(47), "48 different classes, got 47"), (words(47) + words(1), "48 different classes, got 47"),
    ([*words(47), ["Back", "PIKE"]], r"\[47\] must be a list of 4 words"), ([*words(47), "BACK"], r"\[47\] must be"),
])  # fmt: skip
def test_a_bad_vocabulary_is_named(tmp_path: Path, content: Any, complaint: str) -> None:
    write_json(tmp_path / "Diving48_vocab.json", content)
    with pytest.raises(DatasetError, match=rf"Diving48_vocab\.json: .*{complaint}"):
        read_vocabulary(tmp_path)


# ---- the real labels


def test_the_official_second_version(samples: Path) -> None:
    dives = read_labels(samples / "diving48", "V2")
    assert Counter(dive.split for dive in dives) == {"train": 15_027, "test": 1_970}
    assert set(range(48)) - {dive.label for dive in dives} == {30}
    assert sum(dive.name.startswith("-") for dive in dives) == 148
    sources = {split: {dive.name[:11] for dive in dives if dive.split == split} for split in ("train", "test")}
    assert not sources["train"] & sources["test"]
    facts = json.loads((samples / "diving48" / "diving48_video_meta_from_vpd.json").read_bytes())
    assert sum(facts[dive.name][1] == dive.frames for dive in dives if dive.name in facts) > 0.99 * len(dives)


def test_the_official_vocabulary(samples: Path) -> None:
    classes = read_vocabulary(samples / "diving48")
    assert [len(set(words)) for words in zip(*classes, strict=True)] == [4, 8, 8, 4]
    assert classes[30] == ("Forward", "Dive", "NoTwis", "STR")


@pytest.fixture
def clip(tmp_path: Path, encode: Callable[..., Path]) -> Dive:
    """Five flat frames of rising brightness."""
    levels = [np.full((32, 64, 3), 40 * level + 20, np.uint8) for level in range(5)]
    return Dive("-abc_00001", "train", encode(tmp_path / "-abc_00001.mp4", levels), 3, 5)


def test_frames_come_in_order(clip: Dive) -> None:
    frames = list(read_frames(clip))
    assert [frame.shape for frame in frames] == [(32, 64, 3)] * 5
    np.testing.assert_allclose([frame.mean() for frame in frames], [20, 60, 100, 140, 180], atol=4)


def test_frames_that_no_label_counts_are_left_out(clip: Dive) -> None:
    assert len(list(read_frames(replace(clip, frames=3)))) == 3


def test_chosen_frames_alone_come_and_nothing_behind_them_is_decoded(clip: Dive) -> None:
    levels = [frame.mean() for frame in decode(clip.path, 99, (1, 3))]
    np.testing.assert_allclose(levels, [60, 140], atol=4)
    with pytest.raises(DatasetError, match="holds 5 frames, but the labels give 99"):
        list(decode(clip.path, 99, (1, 7)))


def test_a_short_or_damaged_video_is_named(clip: Dive) -> None:
    with pytest.raises(DatasetError, match="holds 5 frames, but the labels give 9"):
        list(read_frames(replace(clip, frames=9)))
    clip.path.write_bytes(b"no video at all")
    with pytest.raises(DatasetError, match=r"-abc_00001\.mp4: cannot be decoded"):
        list(read_frames(clip))


def test_a_dive_is_a_video_whose_frames_all_count(clip: Dive) -> None:
    video = as_video(clip)
    assert (video.name, video.split, video.label) == ("-abc_00001", "train", 3)
    assert len(video.frames) == 5
    assert all(frame.labelled and frame.path == clip.path for frame in video.frames)


def test_red_is_the_first_channel(tmp_path: Path, encode: Callable[..., Path]) -> None:
    red = np.full((32, 64, 3), (230, 30, 20), np.uint8)
    (frame,) = decode(encode(tmp_path / "red.mp4", [red]), 1)
    np.testing.assert_allclose(frame[16, 32], red[0, 0], atol=8)
