"""Truncated and corrupted files of every kind that a user hands in end in one clear line or are made the best of."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dimofs.datasets.posetrack import read_posetrack18_file
from dimofs.datasets.records import POSETRACK_JOINTS, DatasetError
from dimofs.pose.pretrain import detector_of
from dimofs.training.checkpoint import CheckpointError
from dimofs.video.read import ImageFolder, VideoFile

KINDS = {"mp4": "libx264", "mkv": "libx264", "avi": "mpeg4", "webm": "libvpx", "mov": "mjpeg"}
FUZZ = {"suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Some bytes changed, most often near the beginning, where headers are; some cut out; the end cut off."""
    places = draw(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.integers(0, 255)), max_size=12))
    hole = draw(st.one_of(st.just((0.0, 0)), st.tuples(st.floats(0, 1), st.integers(0, 200))))
    length = draw(st.one_of(st.just(1.0), st.floats(0, 1)))

    def spoil(data: bytes) -> bytes:
        spoilt = bytearray(data)
        for place, near, value in places:
            spoilt[int(place * (min(len(data), 900) - 1 if near else len(data) - 1))] = value
        start = int(hole[0] * len(spoilt))
        del spoilt[start : start + hole[1]]
        return bytes(spoilt[: int(length * len(spoilt))])

    return spoil


@pytest.fixture(scope="module")
def videos(tmp_path_factory, encode, frames):
    """The bytes of a small video of each kind."""
    folder = tmp_path_factory.mktemp("videos")
    small = [np.ascontiguousarray(frame[::2, ::2]) for frame in frames[:6]]
    pixels = {"mov": "yuvj420p"}
    return {
        kind: encode(folder / f"v.{kind}", small, codec, pixels.get(kind, "yuv420p")).read_bytes()
        for kind, codec in KINDS.items()
    }


def seen(footage):
    """What can be read of it: rising times, one size; nothing where it is refused in one line."""
    found, refusal = [], ""
    try:
        footage.expected()
        found = list(footage.pictures())
    except DatasetError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert [picture.position for picture in found] == list(range(len(found)))
    assert (np.diff([picture.time for picture in found]) > 0).all()
    assert len({picture.image.shape for picture in found}) == bool(found)
    return found


@settings(max_examples=300, **FUZZ)
@given(st.sampled_from([*KINDS]), damage())
def test_videos(tmp_path, videos, kind, spoil):
    path = tmp_path / f"v.{kind}"
    path.write_bytes(spoil(videos[kind]))
    assert len(seen(VideoFile(str(path)))) <= 6


def test_the_videos_are_whole_before(tmp_path, videos):
    for kind, data in videos.items():
        path = tmp_path / f"v.{kind}"
        path.write_bytes(data)
        assert len(seen(VideoFile(str(path)))) == 6, kind


@settings(max_examples=60, **FUZZ)
@given(st.sampled_from(["png", "jpg"]), damage())
def test_images(tmp_path, frames, kind, spoil):
    data = cv2.imencode(f".{kind}", frames[0][::2, ::2])[1].tobytes()
    (tmp_path / "a").mkdir(exist_ok=True)
    for old in (tmp_path / "a").iterdir():
        old.unlink()
    (tmp_path / f"a/0.{kind}").write_bytes(spoil(data))
    assert len(seen(ImageFolder(tmp_path / "a"))) <= 1


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """A folder with two images, and the bytes of their label file."""
    root = tmp_path_factory.mktemp("labels")
    images = []
    for number in range(2):
        name = f"images/val/v/{number:06d}.jpg"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
        regions = {"ignore_regions_x": [[0, 5, 5]], "ignore_regions_y": [[0, 0, 5]]}
        images.append({"id": number, "file_name": name, "is_labeled": True, **regions})
    person = {"image_id": 0, "track_id": 0, "keypoints": [1.5, 2.5, 1] * 17, "bbox": [1, 2, 3, 4]}
    record = {"images": images, "annotations": [person, {**person, "image_id": 1}]}
    record["categories"] = [{"name": "person", "keypoints": list(POSETRACK_JOINTS)}]
    return root, record


def read(root: Path, data: bytes) -> None:
    path = root / "v.json"
    path.write_bytes(data)
    with suppress(DatasetError):
        read_posetrack18_file(path, root, "val")


@settings(max_examples=150, **FUZZ)
@given(damage())
def test_label_files(labels, spoil):
    root, record = labels
    read(root, spoil(json.dumps(record).encode()))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, **FUZZ)
@given(st.data())
def test_label_files_with_other_values(labels, data):
    """Valid JSON with something else in one or two places."""
    root, record = labels
    whole = [json.loads(json.dumps(record))]
    for _ in range(data.draw(st.integers(1, 2))):
        place, key = whole, 0
        while isinstance(place[key], list | dict) and len(place[key]) and data.draw(st.integers(0, 4)):
            place = place[key]
            key = data.draw(st.sampled_from([*place] if isinstance(place, dict) else range(len(place))))
        place[key] = data.draw(JSON)
    read(root, json.dumps(whole[0]).encode())


@settings(max_examples=80, **FUZZ)
@given(damage())
def test_checkpoints(tmp_path, checkpoint, spoil):
    path = tmp_path / "spoilt.safetensors"
    path.write_bytes(spoil(checkpoint.read_bytes()))
    with suppress(CheckpointError):
        detector_of(path)
