"""The PoseTrack18 reader: round trips, the real samples, and one clear error for each kind of damage."""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dimofs.datasets.annotations import counts
from dimofs.datasets.missing import write_missing
from dimofs.datasets.posetrack import read_posetrack18, read_posetrack18_file
from dimofs.datasets.records import POSETRACK_JOINTS, DatasetError, Frame, Person, Video

NAME = "000042_mpii_test"


def category_record() -> dict[str, Any]:
    return {"id": 1, "name": "person", "keypoints": list(POSETRACK_JOINTS)}


def image_record(number: int, labelled: bool, **extra: Any) -> dict[str, Any]:
    return {
        "id": 10_000_420_000 + number,
        "frame_id": 10_000_420_000 + number,
        "vid_id": "000042",
        "file_name": f"images/val/{NAME}/{number:06d}.jpg",
        "is_labeled": labelled,
        **extra,
    }


def annotation_record(number: int, track_id: int, **changes: Any) -> dict[str, Any]:
    keypoints = [value for joint in range(17) for value in (10.0 + joint, 20.0 + 2 * joint, 1)]
    return {
        "id": (10_000_420_000 + number) * 100 + track_id,
        "image_id": 10_000_420_000 + number,
        "track_id": track_id,
        "category_id": 1,
        "keypoints": keypoints,
        "bbox": [5.0, 6.0, 7.0, 8.0],
        "bbox_head": [1.0, 2.0, 3.0, 4.0],
        "scores": [],
        **changes,
    }


def write_labels(root: Path, labels: Any, split: str = "val", name: str = NAME) -> Path:
    """Write a label file and an empty file for each of its images: the reader never opens an image."""
    path = root / "annotations" / split / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(labels), encoding="utf-8")
    for image in labels["images"]:
        image_path = root / image["file_name"]
        image_path.parent.mkdir(parents=True, exist_ok=True)
        image_path.touch()
    return path


@pytest.fixture
def labels() -> dict[str, Any]:
    """Three frames; the middle one is labelled and holds two people."""
    return {
        "images": [image_record(0, False), image_record(1, True), image_record(2, False)],
        "annotations": [annotation_record(1, 3), annotation_record(1, 7)],
        "categories": [category_record()],
    }


# ---- what is read


def test_reads_frames_people_and_boxes(tmp_path: Path, labels: dict[str, Any]) -> None:
    write_labels(tmp_path, labels)
    (video,) = read_posetrack18(tmp_path)
    assert (video.name, video.split, video.label, video.joint_names) == (NAME, "val", None, POSETRACK_JOINTS)
    assert [frame.labelled for frame in video.frames] == [False, True, False]
    assert [frame.path.name for frame in video.frames] == ["000000.jpg", "000001.jpg", "000002.jpg"]
    assert [person.track_id for person in video.frames[1].people] == [3, 7]
    person = video.frames[1].people[0]
    np.testing.assert_array_equal(person.box, np.array([5, 6, 12, 14], np.float32))
    np.testing.assert_array_equal(person.head_box, np.array([1, 2, 4, 6], np.float32))
    np.testing.assert_array_equal(person.joints[:, 0], np.arange(10, 27))
    assert person.labelled.all()
    assert (person.joints.shape, person.joints.dtype, person.box.dtype) == ((17, 2), np.float32, np.float32)


def test_only_a_zero_triple_is_unlabelled(tmp_path: Path, labels: dict[str, Any]) -> None:
    labels["annotations"][0]["keypoints"][:9] = [0, 0, 0, 30, 40, 0, 0, 0, 1]
    write_labels(tmp_path, labels)
    person = read_posetrack18(tmp_path)[0].frames[1].people[0]
    np.testing.assert_array_equal(person.labelled, [False] + [True] * 16)


def test_a_missing_box_is_the_extent_of_the_labelled_joints_enlarged(tmp_path: Path, labels: dict[str, Any]) -> None:
    del labels["annotations"][0]["bbox"]
    labels["annotations"][0]["keypoints"][:3] = [0, 0, 0]
    write_labels(tmp_path, labels)
    box = read_posetrack18(tmp_path)[0].frames[1].people[0].box
    # joints 1..16: x from 11 to 26, y from 22 to 52
    np.testing.assert_allclose(box, [18.5 - 9.75, 37 - 19.5, 18.5 + 9.75, 37 + 19.5])


def test_a_person_with_neither_joints_nor_box_is_kept_because_the_frame_counts_for_poseval(
    tmp_path: Path, labels: dict[str, Any]
) -> None:
    for annotation in labels["annotations"]:
        del annotation["bbox"]
        annotation["keypoints"] = [0] * 51
    write_labels(tmp_path, labels)
    frame = read_posetrack18(tmp_path)[0].frames[1]
    assert frame.labelled
    assert [person.track_id for person in frame.people] == [3, 7]
    assert counts(frame)
    for person in frame.people:
        assert np.isnan(person.box).all()
        assert not person.labelled.any()


def test_a_frame_with_annotations_is_labelled_whatever_its_flag(tmp_path: Path, labels: dict[str, Any]) -> None:
    labels["images"][1]["is_labeled"] = False
    write_labels(tmp_path, labels)
    assert read_posetrack18(tmp_path)[0].frames[1].labelled


def test_a_missing_head_box_is_none(tmp_path: Path, labels: dict[str, Any]) -> None:
    del labels["annotations"][0]["bbox_head"]
    write_labels(tmp_path, labels)
    assert read_posetrack18(tmp_path)[0].frames[1].people[0].head_box is None


def test_ignore_regions_without_an_area_are_dropped(tmp_path: Path, labels: dict[str, Any]) -> None:
    labels["images"][1] |= {
        "ignore_regions_x": [[0, 9, 9], [], [1, 2]],
        "ignore_regions_y": [[0, 0, 9.5], [], [1, 2]],
    }
    write_labels(tmp_path, labels)
    frames = read_posetrack18(tmp_path)[0].frames
    assert [len(frame.ignore_regions) for frame in frames] == [0, 1, 0]
    np.testing.assert_array_equal(frames[1].ignore_regions[0], np.array([[0, 0], [9, 0], [9, 9.5]], np.float32))


def test_frames_may_be_counted_from_any_number(tmp_path: Path, labels: dict[str, Any]) -> None:
    for number, image in enumerate(labels["images"]):
        image["file_name"] = f"images/val/{NAME}/{number + 17:06d}.jpg"
    write_labels(tmp_path, labels)
    assert len(read_posetrack18(tmp_path)[0].frames) == 3


def test_videos_come_sorted_by_split_and_name(tmp_path: Path, labels: dict[str, Any]) -> None:
    for split, name in [("val", "b"), ("train", "c"), ("val", "a"), ("train", "d")]:
        write_labels(tmp_path, labels, split, name)
    (tmp_path / "annotations" / "val" / "._a.json").write_bytes(b"\0\1")  # what macOS leaves in archives
    videos = read_posetrack18(tmp_path)
    assert [(video.split, video.name) for video in videos] == [
        ("train", "c"), ("train", "d"), ("val", "a"), ("val", "b"),
    ]  # fmt: skip


def test_test_files_may_lack_annotations(tmp_path: Path, labels: dict[str, Any]) -> None:
    del labels["annotations"]
    write_labels(tmp_path, labels, split="test")
    (video,) = read_posetrack18(tmp_path)
    assert [frame.labelled for frame in video.frames] == [False] * 3


# ---- round trip

coordinate = st.floats(-500, 2500, width=32)


def box_strategy() -> st.SearchStrategy[np.ndarray]:
    # quarters of a pixel: x2 = x1 + w is then exact, in JSON and in float32
    side = st.integers(0, 4000).map(lambda value: value / 4)
    corner = st.integers(-2000, 8000).map(lambda value: value / 4)
    return st.tuples(corner, corner, side, side).map(
        lambda b: np.array([b[0], b[1], b[0] + b[2], b[1] + b[3]], np.float32)
    )


@st.composite
def people_strategy(draw: st.DrawFn) -> tuple[Person, ...]:
    track_ids = draw(st.lists(st.integers(0, 999), unique=True, max_size=3))
    people = []
    for track_id in track_ids:
        labelled = np.array(draw(st.lists(st.booleans(), min_size=17, max_size=17)))
        joints = np.array(draw(st.lists(st.tuples(coordinate, coordinate), min_size=17, max_size=17)), np.float32)
        joints[~labelled] = 0
        head_box = draw(st.none() | box_strategy())
        people.append(Person(track_id, draw(box_strategy()), head_box, joints, labelled))
    return tuple(people)


@st.composite
def video_strategy(draw: st.DrawFn) -> Video:
    first = draw(st.integers(0, 3))
    frames = []
    for number in range(draw(st.integers(1, 4))):
        people = draw(people_strategy())
        polygon = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=5)
        regions = draw(st.lists(polygon, max_size=2))
        path = Path(f"images/train/sequence/{first + number:06d}.jpg")
        labelled = bool(people) or draw(st.booleans())
        frames.append(Frame(path, labelled, people, tuple(np.array(region, np.float32) for region in regions)))
    return Video("sequence", "train", POSETRACK_JOINTS, tuple(frames), None)


def as_labels(video: Video) -> dict[str, Any]:
    """The official file of a video: the inverse of the reader, written by itself."""

    def xywh(box: np.ndarray) -> list[float]:
        x1, y1, x2, y2 = box.tolist()
        return [x1, y1, x2 - x1, y2 - y1]

    images, annotations = [], []
    for position, frame in enumerate(video.frames):
        image: dict[str, Any] = {"id": 77 + position, "file_name": str(frame.path), "is_labeled": frame.labelled}
        if frame.ignore_regions:
            image["ignore_regions_x"] = [region[:, 0].tolist() for region in frame.ignore_regions]
            image["ignore_regions_y"] = [region[:, 1].tolist() for region in frame.ignore_regions]
        images.append(image)
        for person in frame.people:
            triples = np.concatenate([person.joints, person.labelled[:, None]], axis=1)
            annotation = {"image_id": 77 + position, "track_id": person.track_id, "bbox": xywh(person.box)}
            annotation["keypoints"] = triples.ravel().tolist()
            if person.head_box is not None:
                annotation["bbox_head"] = xywh(person.head_box)
            annotations.append(annotation)
    # the order of annotations in a file means nothing across frames
    annotations.sort(key=lambda annotation: -annotation["image_id"])
    return {"images": images, "annotations": annotations, "categories": [category_record()]}


@given(video_strategy())
@settings(max_examples=60)
def test_what_is_written_is_read(video: Video) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_labels(root, as_labels(video), "train", "sequence")
        (read,) = read_posetrack18(root)
    assert (read.name, read.split, len(read.frames)) == (video.name, video.split, len(video.frames))
    for got, wanted in zip(read.frames, video.frames, strict=True):
        assert (got.path, got.labelled) == (root / wanted.path, wanted.labelled)
        assert len(got.ignore_regions) == len(wanted.ignore_regions)
        for region, other in zip(got.ignore_regions, wanted.ignore_regions, strict=True):
            np.testing.assert_array_equal(region, other)
        assert [person.track_id for person in got.people] == [person.track_id for person in wanted.people]
        for person, other in zip(got.people, wanted.people, strict=True):
            np.testing.assert_array_equal(person.box, other.box)
            np.testing.assert_array_equal(person.joints, other.joints)
            np.testing.assert_array_equal(person.labelled, other.labelled)
            assert (person.head_box is None) == (other.head_box is None)
            if person.head_box is not None:
                np.testing.assert_array_equal(person.head_box, other.head_box)


# ---- damage


def at(labels: dict[str, Any], *keys: Any) -> Any:
    for key in keys:
        labels = labels[key]
    return labels


IGNORE = "ignore_regions_x and ignore_regions_y"
#: Where the damage is done, the new value (None: the field is removed), and what the message must name.
DAMAGE = {
    "categories missing": ((), "categories", None, "categories"),
    "no category": ((), "categories", [], "categories"),
    "other joint order": (("categories", 0), "keypoints", list(POSETRACK_JOINTS[::-1]), "categories[0].keypoints"),
    "joint order missing": (("categories", 0), "keypoints", None, "categories[0]: the field keypoints"),
    "images missing": ((), "images", None, "images"),
    "no image": ((), "images", [], "images"),
    "image no object": (("images",), 1, 5, "images[1]"),
    "image id missing": (("images", 1), "id", None, "images[1]: the field id"),
    "image id text": (("images", 1), "id", "10000420001", "images[1]: the field id"),
    "image id twice": (("images", 1), "id", 10_000_420_000, "images[1].id"),
    "file name missing": (("images", 1), "file_name", None, "images[1]: the field file_name"),
    "file name no number": (("images", 1), "file_name", f"images/val/{NAME}/one.jpg", "images[1].file_name"),
    "file outside": (("images", 1), "file_name", f"images/val/../../../{NAME}/000001.jpg", "images[1].file_name"),
    "file anywhere": (("images", 1), "file_name", "/etc/000001.jpg", "images[1].file_name"),
    "gap between frames": (("images", 2), "file_name", f"images/val/{NAME}/000003.jpg", "images[2].file_name"),
    "two sequences": (("images", 2), "file_name", "images/val/other/000002.jpg", "images[2].file_name"),
    "flag missing": (("images", 1), "is_labeled", None, "images[1]: the field is_labeled"),
    "flag no boolean": (("images", 1), "is_labeled", 1, "images[1]: the field is_labeled"),
    "annotations missing": ((), "annotations", None, "annotations"),
    "annotations no list": ((), "annotations", {}, "annotations"),
    "unknown image": (("annotations", 1), "image_id", 5, "annotations[1].image_id"),
    "track id missing": (("annotations", 1), "track_id", None, "annotations[1]: the field track_id"),
    "track id twice": (("annotations", 1), "track_id", 3, "annotations[1].track_id"),
    "keypoints missing": (("annotations", 1), "keypoints", None, "annotations[1]: the field keypoints"),
    "keypoints too short": (("annotations", 1), "keypoints", [1.0] * 48, "annotations[1].keypoints"),
    "keypoint text": (("annotations", 1, "keypoints"), 4, "20", "annotations[1].keypoints[4]"),
    "keypoint NaN": (("annotations", 1, "keypoints"), 4, float("nan"), "annotations[1].keypoints[4]"),
    "keypoint infinite": (("annotations", 1, "keypoints"), 4, float("inf"), "annotations[1].keypoints[4]"),
    "keypoint huge": (("annotations", 1, "keypoints"), 4, 10**400, "annotations[1].keypoints[4]"),
    "visibility 2": (("annotations", 1, "keypoints"), 5, 2, "annotations[1].keypoints"),
    "box too short": (("annotations", 1), "bbox", [1, 2, 3], "annotations[1].bbox"),
    "box null": (("annotations", 1, "bbox"), 2, None, "annotations[1].bbox"),
    "box no list": (("annotations", 1), "bbox", 4, "annotations[1].bbox"),
    "box negative": (("annotations", 1), "bbox", [1, 2, -3, 4], "annotations[1].bbox"),
    "head box negative": (("annotations", 1), "bbox_head", [1, 2, 3, -4], "annotations[1].bbox_head"),
    "ignore x alone": (("images", 1), "ignore_regions_x", [[1, 2, 3]], "ignore_regions_y"),
    "ignore flat": (("images", 1), "ignore_regions", ([1, 2, 3], [1, 2, 3]), IGNORE),
    "ignore unequal": (("images", 1), "ignore_regions", ([[1, 2, 3]], [[1, 2]]), IGNORE),
    "ignore text": (("images", 1), "ignore_regions", ([["a", 2, 3]], [[1, 2, 3]]), IGNORE),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_gives_one_error_that_names_file_and_field(tmp_path: Path, labels: dict[str, Any], case: str) -> None:
    keys, field, value, named = DAMAGE[case]
    path = write_labels(tmp_path, labels)
    read_posetrack18(tmp_path)  # sound before
    record = at(labels, *keys)
    if field == "ignore_regions":
        record["ignore_regions_x"], record["ignore_regions_y"] = value
    elif value is None and isinstance(record, dict):
        del record[field]
    else:
        record[field] = value
    path.write_text(json.dumps(labels), encoding="utf-8")
    with pytest.raises(DatasetError, match=re.escape(str(path))) as caught:
        read_posetrack18(tmp_path)
    message = str(caught.value)
    assert named in message
    assert "; " in message.rpartition(named)[2], "what to do comes last"
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"", b'{"images": [', b"\xff\xfe\x00", b"[]", b"null"], ids=repr)
def test_a_file_that_is_no_label_file_is_named(tmp_path: Path, labels: dict[str, Any], content: bytes) -> None:
    path = write_labels(tmp_path, labels)
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=re.escape(str(path))):
        read_posetrack18(tmp_path)


@given(st.data())
@settings(max_examples=40)
def test_a_truncated_file_never_reads(data: st.DataObject) -> None:
    whole = json.dumps(
        {"images": [image_record(0, True)], "annotations": [], "categories": [category_record()]}
    ).encode()
    length = data.draw(st.integers(0, len(whole) - 1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.json"
        path.write_bytes(whole[:length])
        with pytest.raises(DatasetError, match=r"a\.json"):
            read_posetrack18_file(path, Path(folder), "val")


@pytest.mark.parametrize("number", [0, 1])  # an unlabelled frame is as needed as a labelled one: it can be Frame B
def test_a_missing_image_is_named(tmp_path: Path, labels: dict[str, Any], number: int) -> None:
    path = write_labels(tmp_path, labels)
    image_path = tmp_path / labels["images"][number]["file_name"]
    image_path.unlink()
    with pytest.raises(DatasetError, match=re.escape(str(image_path))) as caught:
        read_posetrack18(tmp_path)
    assert f"images[{number}].file_name" in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_label_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no_such"):
        read_posetrack18_file(tmp_path / "no_such.json", tmp_path, "val")


def test_a_folder_without_labels_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="annotations"):
        read_posetrack18(tmp_path)
    (tmp_path / "annotations" / "train").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"annotations/train.*no label file"):
        read_posetrack18(tmp_path)


# ---- real samples


def test_official_sequences_read(samples: Path) -> None:
    videos = read_posetrack18(samples / "posetrack18")
    assert [(video.name, len(video.frames[0].people)) for video in videos] == [
        ("003418_mpii_test", 1),
        ("009473_mpii_test", 2),
        ("012834_mpii_test", 11),
    ]
    assert all(video.split == "val" and [frame.labelled for frame in video.frames] == [True] for video in videos)
    assert [len(video.frames[0].ignore_regions) for video in videos] == [9, 2, 4]
    ears = [POSETRACK_JOINTS.index("left_ear"), POSETRACK_JOINTS.index("right_ear")]
    for video in videos:
        for person in video.frames[0].people:
            assert person.head_box is not None
            assert not person.labelled[ears].any()


def test_official_boxes_are_what_the_reader_computes_where_they_are_missing(samples: Path, tmp_path: Path) -> None:
    official = read_posetrack18(samples / "posetrack18")
    for video in official:
        source = samples / "posetrack18" / "annotations" / "val" / f"{video.name}.json"
        labels = json.loads(source.read_text())
        for annotation in labels["annotations"]:
            del annotation["bbox"]
        path = write_labels(tmp_path, labels, name=video.name)
        computed = read_posetrack18_file(path, tmp_path, "val")
        for person, other in zip(computed.frames[0].people, video.frames[0].people, strict=True):
            np.testing.assert_allclose(person.box, other.box, atol=1e-3)


def test_a_file_that_merges_sequences_is_refused(samples: Path) -> None:
    merged = samples / "posetrack18" / "annotations" / "test_posetrack18_val.json"
    with pytest.raises(DatasetError, match=r"images\[1\].file_name .* single sequence"):
        read_posetrack18_file(merged, samples / "posetrack18", "val")


def test_a_long_crowded_sequence_reads(samples: Path, tmp_path: Path) -> None:
    labels = json.loads((samples / "street" / "annotations" / "000001_street.json").read_text())
    video = read_posetrack18_file(write_labels(tmp_path, labels), tmp_path, "val")
    assert len(video.frames) == 795
    assert sum(len(frame.people) for frame in video.frames) == 4287
    assert len({person.track_id for frame in video.frames for person in frame.people}) == 41


def test_a_missing_sequence_is_left_out_where_that_was_accepted(tmp_path: Path, labels: dict[str, Any]) -> None:
    for split, name in [("train", "a"), ("val", "a"), ("val", "b")]:
        write_labels(tmp_path, labels, split, name)
    write_missing(tmp_path, ["val/a"])
    assert [(video.split, video.name) for video in read_posetrack18(tmp_path)] == [("train", "a"), ("val", "b")]
