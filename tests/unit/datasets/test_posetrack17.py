"""The PoseTrack17 reader: both kinds of file, and one clear error for each kind of damage."""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from dimofs.datasets.annotations import annotated_poses, counts
from dimofs.datasets.posetrack import read_posetrack18_file
from dimofs.datasets.posetrack17 import image_folder, label_files, read_posetrack17, read_posetrack17_file
from dimofs.datasets.records import POSETRACK_JOINTS, DatasetError

NAME = "000342_mpii_relpath_5sec_testsub"
FOLDER = "images/bonn_mpii_test_5sec/000342_mpii"
NOT_MAPPED = {"left_ear", "right_ear"}
#: PoseTrack17's ids, one by one, as the benchmark gives them.
IDS = {
    0: "right_ankle", 1: "right_knee", 2: "right_hip", 3: "left_hip", 4: "left_knee", 5: "left_ankle",
    6: "right_wrist", 7: "right_elbow", 8: "right_shoulder", 9: "left_shoulder", 10: "left_elbow", 11: "left_wrist",
    12: "head_bottom", 13: "nose", 14: "head_top",
}  # fmt: skip


def person(track_id: int, ids: Any = range(15), **changes: Any) -> dict[str, Any]:
    points = [{"id": j, "x": 10.0 + j, "y": 20.0 + 2 * j, "is_visible": j % 2} for j in ids]
    return {"x1": 30, "y1": 40, "x2": 36, "y2": 48, "track_id": track_id, "annopoints": [{"point": points}], **changes}


def frame(number: int, people: Any = (), **changes: Any) -> dict[str, Any]:
    return {
        "image": {"name": f"{FOLDER}/{number:08d}.jpg"},
        "imgnum": number,
        "is_labeled": int(bool(people)),
        "ignore_regions": [],
        "annorect": list(people),
        **changes,
    }


@pytest.fixture
def annolist() -> list[dict[str, Any]]:
    """Three frames; the middle one is labelled and holds two people."""
    return [frame(1), frame(2, [person(3), person(7, ids=(0, 12, 13))]), frame(3)]


def as_json(value: Any) -> Any:
    """What savejson makes of a structure: every scalar and every structure in a list."""
    if isinstance(value, dict):
        return {
            name: as_json(item) if isinstance(item, list | str) else [as_json(item)] for name, item in value.items()
        }
    return [as_json(item) for item in value] if isinstance(value, list) else value


def as_struct(value: Any) -> Any:
    """The same for a MATLAB file, where a list of structures is an array of structures."""
    if isinstance(value, dict):
        return as_struct([value])
    if not isinstance(value, list):
        return value
    if not value:
        return np.zeros((0, 0))
    array = np.zeros(len(value), [(name, object) for name in value[0]])
    for row, item in zip(array, value, strict=True):
        for name in item:
            row[name] = as_struct(item[name])
    return array


def write(root: Path, annolist: Any, kind: str, split: str = "val", name: str = NAME) -> Path:
    """Write a label file, and an empty file for each image: the reader opens none."""
    path = root / "annotations" / split / f"{name}.{kind}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "json":
        path.write_text(json.dumps({"annolist": as_json(annolist)}), encoding="utf-8")
    else:
        scipy.io.savemat(path, {"annolist": as_struct(annolist)})
    for record in annolist:
        image = root / record["image"]["name"]
        image.parent.mkdir(parents=True, exist_ok=True)
        image.touch()
    return path


both_kinds = pytest.mark.parametrize("kind", ["mat", "json"])


@both_kinds
def test_reads_frames_people_and_head_boxes(tmp_path: Path, annolist: Any, kind: str) -> None:
    write(tmp_path, annolist, kind)
    (video,) = read_posetrack17(tmp_path)
    assert (video.name, video.split, video.label, video.joint_names) == (NAME, "val", None, POSETRACK_JOINTS)
    assert [frame.labelled for frame in video.frames] == [False, True, False]
    assert [frame.path for frame in video.frames] == [tmp_path / FOLDER / f"{n:08d}.jpg" for n in (1, 2, 3)]
    first, second = video.frames[1].people
    assert (first.track_id, second.track_id) == (3, 7)
    np.testing.assert_array_equal(first.head_box, np.array([30, 40, 36, 48], np.float32))
    for number, name in IDS.items():
        np.testing.assert_array_equal(first.joints[POSETRACK_JOINTS.index(name)], [10 + number, 20 + 2 * number])
    assert {name for name, there in zip(POSETRACK_JOINTS, first.labelled, strict=True) if not there} == NOT_MAPPED
    assert second.labelled.nonzero()[0].tolist() == [0, 1, 15 + 1]
    np.testing.assert_allclose(first.box, [17 - 1.3 * 7, 34 - 1.3 * 14, 17 + 1.3 * 7, 34 + 1.3 * 14])
    assert (first.joints.shape, first.joints.dtype, first.box.dtype) == ((17, 2), np.float32, np.float32)


@both_kinds
def test_one_frame_one_person_one_point(tmp_path: Path, kind: str) -> None:
    """MATLAB makes a single structure of an array of one."""
    write(tmp_path, [frame(5, [person(0, ids=[13])])], kind)
    (only,) = read_posetrack17(tmp_path)[0].frames[0].people
    assert only.labelled.nonzero()[0].tolist() == [0]
    np.testing.assert_array_equal(only.box, [23, 46, 23, 46])


@both_kinds
def test_people_without_points_are_kept_because_the_frame_counts(tmp_path: Path, kind: str) -> None:
    people = [person(1, annopoints=[]), person(2, ids=())]
    write(tmp_path, [frame(1, people, is_labeled=0), frame(2)], kind)
    first, second = read_posetrack17(tmp_path)[0].frames
    assert (counts(first), counts(second)) == (True, False)
    assert [np.isnan(one.box).all() and not one.labelled.any() for one in first.people] == [True, True]
    assert len(annotated_poses(NAME, 0, first).joints) == 0


@both_kinds
def test_ignore_regions(tmp_path: Path, kind: str) -> None:
    def polygon(*corners: tuple[float, float]) -> dict[str, Any]:
        return {"point": [{"x": x, "y": y} for x, y in corners]}

    regions = [polygon((0, 0), (9, 0), (9, 9.5)), polygon((1, 1), (2, 2)), polygon((1, 2), (3, 4), (5, 6), (7, 8))]
    write(tmp_path, [frame(1, [person(1)], ignore_regions=regions), frame(2, ignore_regions=regions[:1])], kind)
    first, second = read_posetrack17(tmp_path)[0].frames
    assert [len(region) for region in first.ignore_regions] == [3, 4]
    np.testing.assert_array_equal(first.ignore_regions[0], np.array([[0, 0], [9, 0], [9, 9.5]], np.float32))
    assert len(second.ignore_regions) == 1


@both_kinds
def test_files_of_the_test_split_have_no_people(tmp_path: Path, kind: str) -> None:
    bare = [{"image": frame(n)["image"], "imgnum": n} for n in (1, 2)]
    write(tmp_path, bare, kind, split="test")
    (video,) = read_posetrack17(tmp_path)
    assert [(one.labelled, one.people) for one in video.frames] == [(False, ())] * 2


def test_the_first_of_two_points_with_one_id_counts_and_corners_come_in_any_order(tmp_path: Path) -> None:
    twice = [{"id": 13, "x": 1, "y": 2}, {"id": 13, "x": 3, "y": 4}]
    write(tmp_path, [frame(1, [person(0, annopoints=[{"point": twice}], x1=36, x2=30)])], "json")
    (one,) = read_posetrack17(tmp_path)[0].frames[0].people
    assert one.joints[0].tolist() == [1, 2]
    assert one.head_box is not None
    assert one.head_box.tolist() == [30, 40, 36, 48]


def test_without_a_corner_there_is_no_head_box(tmp_path: Path) -> None:
    whole = person(0)
    del whole["x2"]
    write(tmp_path, [frame(1, [whole, person(1, y1=[])])], "json")
    assert [one.head_box for one in read_posetrack17(tmp_path)[0].frames[0].people] == [None, None]


def test_names_may_go_on_after_the_number(tmp_path: Path) -> None:
    annolist = [frame(n, image={"name": f"{FOLDER}/{n:04d}_crop.jpg"}) for n in (9, 10, 11)]
    write(tmp_path, annolist, "mat")
    assert len(read_posetrack17(tmp_path)[0].frames) == 3


def test_sequences_come_sorted_and_are_known_by_their_label_file(tmp_path: Path, annolist: Any) -> None:
    for split, name, kind in [("val", "b", "mat"), ("val", "a", "json"), ("val", "a", "mat"), ("train", "c", "mat")]:
        write(tmp_path, annolist, kind, split, name)
    (tmp_path / "annotations/val/._a.mat").write_bytes(b"\0\1")  # what macOS leaves in archives
    videos = read_posetrack17(tmp_path)
    assert [(video.split, video.name) for video in videos] == [("train", "c"), ("val", "a"), ("val", "b")]
    assert [path.name for path in label_files(tmp_path / "annotations/val")] == ["a.json", "b.mat"]
    assert image_folder(tmp_path / "annotations/val/b.mat", tmp_path) == tmp_path / FOLDER
    (tmp_path / "MISSING.txt").write_text("val/a\n")
    assert [video.name for video in read_posetrack17(tmp_path)] == ["c", "b"]


# ---- round trips

coordinate = st.integers(-4000, 12000).map(lambda value: value / 4)
point_strategy = st.fixed_dictionaries({"x": coordinate, "y": coordinate, "is_visible": st.integers(0, 1)})


@st.composite
def frames_strategy(draw: st.DrawFn) -> list[dict[str, Any]]:
    frames = []
    for number in range(draw(st.integers(1, 3))):
        people = []
        for track in draw(st.lists(st.integers(0, 999), unique=True, max_size=2)):
            ids = draw(st.lists(st.integers(0, 14), unique=True, max_size=4))
            people.append(person(track, annopoints=[{"point": [{"id": j, **draw(point_strategy)} for j in ids]}]))
        corners = st.lists(st.fixed_dictionaries({"x": coordinate, "y": coordinate}), min_size=3, max_size=4)
        regions = [{"point": corner} for corner in draw(st.lists(corners, max_size=2))]
        frames.append(frame(number, people, is_labeled=draw(st.integers(0, 1)), ignore_regions=regions))
    return frames


@given(frames_strategy())
@settings(max_examples=40)
def test_both_kinds_read_as_what_was_written(annolist: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        videos = [read_posetrack17_file(write(root, annolist, kind), root, "val") for kind in ("mat", "json")]
    for video in videos:
        for got, wanted in zip(video.frames, annolist, strict=True):
            assert got.labelled == bool(wanted["annorect"] or wanted["is_labeled"])
            for region, polygon in zip(got.ignore_regions, wanted["ignore_regions"], strict=True):
                assert region.tolist() == [[corner["x"], corner["y"]] for corner in polygon["point"]]
            for one, record in zip(got.people, wanted["annorect"], strict=True):
                assert one.track_id == record["track_id"]
                points = {IDS[point["id"]]: [point["x"], point["y"]] for point in record["annopoints"][0]["point"]}
                there = one.labelled.nonzero()[0]
                assert {POSETRACK_JOINTS[j]: one.joints[j].tolist() for j in there} == points


def test_the_same_people_read_from_both_years_layouts_are_equal(samples: Path, tmp_path: Path) -> None:
    """Official PoseTrack18 labels, rewritten as PoseTrack17's: joints, boxes, head boxes and regions stay."""
    for source in sorted((samples / "posetrack18/annotations/val").glob("*.json")):
        original = read_posetrack18_file(source, samples / "posetrack18", "val")
        ids = {name: number for number, name in IDS.items()}
        annolist = []
        for one in original.frames:
            people = []
            for human in one.people:
                assert human.head_box is not None
                points = [
                    {"id": ids[name], "x": float(x), "y": float(y), "is_visible": 1}
                    for name, (x, y), there in zip(POSETRACK_JOINTS, human.joints, human.labelled, strict=True)
                    if there
                ]
                corners = dict(zip(("x1", "y1", "x2", "y2"), human.head_box.tolist(), strict=True))
                people.append({**corners, "track_id": human.track_id, "annopoints": [{"point": points}]})
            regions = [{"point": [{"x": float(x), "y": float(y)} for x, y in region]} for region in one.ignore_regions]
            annolist.append(frame(1, people, ignore_regions=regions))
        for kind in ("mat", "json"):
            again = read_posetrack17_file(write(tmp_path, annolist, kind, name=original.name), tmp_path, "val")
            for got, wanted in zip(again.frames[0].people, original.frames[0].people, strict=True):
                np.testing.assert_array_equal(got.joints, wanted.joints)
                np.testing.assert_array_equal(got.labelled, wanted.labelled)
                np.testing.assert_array_equal(got.head_box, wanted.head_box)
                np.testing.assert_allclose(got.box, wanted.box, atol=1e-3)
            for got_region, region in zip(
                again.frames[0].ignore_regions, original.frames[0].ignore_regions, strict=True
            ):
                np.testing.assert_array_equal(got_region, region)


# ---- damage

PERSON = (1, "annorect", 1)
POINT = (*PERSON, "annopoints", 0, "point", 2)
#: Where the record is, its field, the value in its place, and what the message names.
DAMAGE: dict[str, tuple[tuple[Any, ...], Any, Any, str]] = {
    "image missing": ((1,), "image", [], "annolist[1].image.name"),
    "image outside": ((1,), "image", {"name": "../../00000002.jpg"}, "annolist[1].image.name"),
    "image without number": ((1,), "image", {"name": f"{FOLDER}/frame.jpg"}, "annolist[1].image.name"),
    "image not next": ((2,), "image", {"name": f"{FOLDER}/00000004.jpg"}, "annolist[2].image.name"),
    "another sequence": ((2,), "image", {"name": "images/bonn/other/00000003.jpg"}, "annolist[2].image.name"),
    "flag text": ((0,), "is_labeled", "yes", "annolist[0].is_labeled"),
    "people no structures": ((1,), "annorect", [1, 2], "annolist[1].annorect[0]"),
    "track id missing": (PERSON, "track_id", [], "annorect[1].track_id"),
    "track id huge": (PERSON, "track_id", 10**400, "annorect[1].track_id"),
    "track id infinite": (PERSON, "track_id", float("inf"), "annorect[1].track_id"),
    "track id half": (PERSON, "track_id", 0.5, "annorect[1].track_id"),
    "track id twice": (PERSON, "track_id", 3, "annorect[1].track_id"),
    "joint id unknown": (POINT, "id", 15, "point[2].id"),
    "joint id negative": (POINT, "id", -1, "point[2].id"),
    "coordinate missing": (POINT, "x", [], "point[2].x"),
    "coordinate NaN": (POINT, "y", float("nan"), "point[2].y"),
    "coordinate text": (POINT, "y", "nan", "point[2].y"),
    "coordinate huge": (POINT, "x", 1e9, "point[2].x"),
    "head box infinite": (PERSON, "x1", float("inf"), "annorect[1].x1"),
    "region without numbers": ((1,), "ignore_regions", [{"point": [{"x": "a"}]}], "ignore_regions[0].point[0].x"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_gives_one_error_that_names_file_and_field(tmp_path: Path, annolist: Any, case: str) -> None:
    keys, field, value, named = DAMAGE[case]
    write(tmp_path, annolist, "json")
    read_posetrack17(tmp_path)  # sound before
    record = annolist
    for key in keys:
        record = record[key]
    record[field] = value
    path = tmp_path / "annotations/val" / f"{NAME}.json"
    path.write_text(json.dumps({"annolist": as_json(annolist)}), encoding="utf-8")
    with pytest.raises(DatasetError, match=re.escape(str(path))) as caught:
        read_posetrack17(tmp_path)
    message = str(caught.value)
    assert named in message
    assert "; " in message.rpartition(named)[2], "what to do comes last"
    assert "\n" not in message


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("json", b"{"),
        ("json", b"[]"),
        ("json", b'{"annolist": []}'),
        ("json", b"{}"),
        ("mat", b"MATLAB 5.0"),
        ("mat", b""),
    ],
)
def test_a_file_that_is_no_label_file_is_named(tmp_path: Path, kind: str, content: bytes) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=re.escape(str(path))):
        read_posetrack17_file(path, tmp_path, "val")


def test_what_is_not_there_is_named(tmp_path: Path, annolist: Any) -> None:
    with pytest.raises(DatasetError, match="none of the folders train, val and test"):
        read_posetrack17(tmp_path)
    (tmp_path / "annotations/val").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"val: holds no label file \(\*\.mat, \*\.json\)"):
        read_posetrack17(tmp_path)
    for ending in ("mat", "json"):
        with pytest.raises(DatasetError, match=rf"none\.{ending}"):
            read_posetrack17_file(tmp_path / f"none.{ending}", tmp_path, "val")
    write(tmp_path, annolist, "mat")
    (tmp_path / FOLDER / "00000003.jpg").unlink()  # an unlabelled frame is needed as well: it can be Frame B
    with pytest.raises(DatasetError, match=r"00000003\.jpg: no such image.*annolist\[2\]"):
        read_posetrack17(tmp_path)
