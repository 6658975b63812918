"""Poses of other tools: COCO's joints become PoseTrack18's, and every kind of damage is one clear error."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dimofs.datasets.coco import COCO_JOINTS, UNTRACKED, as_posetrack, read_poses
from dimofs.datasets.posetrack import CATEGORY
from dimofs.datasets.records import POSETRACK_JOINTS, DatasetError


def standing() -> np.ndarray:
    """A person of 100 pixels who faces the camera, feet at y = 100, all joints seen: (17, 3)."""
    places = {
        "nose": (50, 8), "left_eye": (52, 6.5), "right_eye": (48, 6.5), "left_ear": (54, 7), "right_ear": (46, 7),
        "left_shoulder": (60, 18), "right_shoulder": (40, 18), "left_elbow": (63, 37), "right_elbow": (37, 37),
        "left_wrist": (64, 51), "right_wrist": (36, 51), "left_hip": (55, 47), "right_hip": (45, 47),
        "left_knee": (55, 71), "right_knee": (45, 71), "left_ankle": (55, 96), "right_ankle": (45, 96),
    }  # fmt: skip
    return np.array([(*places[name], 2) for name in COCO_JOINTS], np.float32)


def annotation(image: int, keypoints: np.ndarray, **extra: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": image, "category_id": 1, "keypoints": keypoints.ravel().tolist(), **extra}


def write(path: Path, annotations: list[dict[str, Any]], joints: tuple[str, ...] = COCO_JOINTS, **changes: Any) -> Path:
    labels = {
        "images": [{"id": 7, "is_labeled": True}, {"id": 9, "is_labeled": True}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": list(joints)}],
        **changes,
    }
    path.write_text(json.dumps(labels), encoding="utf-8")
    return path


def test_a_standing_person_has_a_head_of_adult_proportions() -> None:
    person = as_posetrack(standing(), None)
    assert person is not None
    assert person.track_id == UNTRACKED
    joints = dict(zip(POSETRACK_JOINTS, person.joints.tolist(), strict=True))
    assert joints["head_bottom"] == [50, 18]
    assert joints["head_top"] == pytest.approx([50, 0], abs=0.5)
    assert person.labelled.tolist() == [name not in ("left_ear", "right_ear") for name in POSETRACK_JOINTS]
    assert person.head_box is not None
    x1, y1, x2, y2 = person.head_box.tolist()
    assert [(x1 + x2) / 2, y1, y2] == pytest.approx([50, 0, 18], abs=0.5)
    np.testing.assert_allclose(person.box, [31.8, -6.92, 68.2, 109.42], atol=0.01)  # 1.3 × the joints' extent


def test_limbs_keep_their_slots() -> None:
    person = as_posetrack(standing(), np.array([0, 0, 100, 100], np.float32), 4)
    assert person is not None
    assert person.track_id == 4
    assert person.box.tolist() == [0, 0, 100, 100]
    assert person.joints[5:].tolist() == standing()[5:, :2].tolist()


@pytest.mark.parametrize(("hidden", "missing"), [
    (("left_shoulder",), {"left_shoulder", "head_bottom", "head_top"}),
    (COCO_JOINTS[:5], {"nose", "head_top"}),
])  # fmt: skip
def test_a_head_that_is_not_seen_is_not_labelled_but_has_a_size(hidden: tuple[str, ...], missing: set[str]) -> None:
    keypoints = standing()
    keypoints[[COCO_JOINTS.index(name) for name in hidden]] = 0
    person = as_posetrack(keypoints, np.array([30, 0, 70, 100], np.float32))
    assert person is not None
    without = {name for name, seen in zip(POSETRACK_JOINTS, person.labelled, strict=True) if not seen}
    assert without == missing | {"left_ear", "right_ear"}
    assert not person.joints[~person.labelled].any()
    assert person.head_box is not None
    assert (person.head_box[3] - person.head_box[1]) == pytest.approx(18)


def test_a_person_without_a_joint_is_none() -> None:
    assert as_posetrack(np.zeros((17, 3), np.float32), np.array([0, 0, 9, 9], np.float32)) is None


def test_a_person_of_eyes_and_ears_alone_is_none() -> None:
    keypoints = np.zeros((17, 3), np.float32)
    keypoints[[COCO_JOINTS.index(name) for name in ("left_eye", "right_eye", "left_ear")]] = (5, 6, 2)
    assert as_posetrack(keypoints, None) is None
    keypoints[COCO_JOINTS.index("nose")] = (5, 7, 2)
    assert as_posetrack(keypoints, None) is not None


@given(st.floats(0.05, 20), st.floats(-500, 500), st.floats(-500, 500))
def test_the_head_moves_and_grows_with_the_person(scale: float, dx: float, dy: float) -> None:
    moved = standing()
    moved[:, :2] = moved[:, :2] * scale + (dx, dy)
    first, second = as_posetrack(standing(), None), as_posetrack(moved, None)
    assert first is not None
    assert second is not None
    assert first.head_box is not None
    wanted = first.head_box.reshape(2, 2) * scale + (dx, dy)
    np.testing.assert_allclose(second.head_box, wanted.ravel(), atol=2e-3 * max(1, scale))


def test_coco_files_are_read(tmp_path: Path) -> None:
    people = [
        annotation(9, standing(), track_id=3, score=0.9, bbox=[1, 2, 3, 4]),
        annotation(9, standing(), track_id=4, score=0.4),
        annotation(9, np.zeros((17, 3)), track_id=5),
    ]
    first, second = read_poses(write(tmp_path / "poses.json", people), 0.5)
    assert first == ()
    assert second is not None
    assert [person.track_id for person in second] == [3]
    assert second[0].box.tolist() == [1, 2, 4, 6]


def test_scores_in_the_place_of_flags_are_thresholds(tmp_path: Path) -> None:
    keypoints = standing()
    keypoints[:, 2] = 0.9
    keypoints[COCO_JOINTS.index("left_wrist"), 2] = 0.1
    (people, _) = read_poses(write(tmp_path / "poses.json", [annotation(7, keypoints)]), 0.5)
    assert people is not None
    assert [name for name, seen in zip(POSETRACK_JOINTS, people[0].labelled, strict=True) if not seen] == [
        "left_ear", "right_ear", "left_wrist",
    ]  # fmt: skip


def test_posetrack_files_stay_as_they_are_but_get_heads(tmp_path: Path) -> None:
    keypoints = standing()
    keypoints[3:5] = 0
    keypoints[:, 2] = keypoints[:, 2] > 0
    one = annotation(7, keypoints, track_id=8, bbox=[1, 2, 3, 4], bbox_head=[5, 6, 7, 8])
    other = annotation(7, keypoints, track_id=9)
    path = write(tmp_path / "poses.json", [one, other], categories=[CATEGORY])
    (people, nobody) = read_poses(path, 0.5)
    assert nobody == ()
    assert people is not None
    assert [person.track_id for person in people] == [8, 9]
    assert people[0].head_box is not None
    assert people[0].head_box.tolist() == [5, 6, 12, 14]
    assert people[1].head_box is not None
    np.testing.assert_array_equal(people[1].joints[5:], keypoints[5:, :2])


@pytest.mark.parametrize(("changes", "says"), [
    ({"categories": [{"keypoints": ["nose"]}]}, "categories"),
    ({"images": [{"id": 7}, {"id": 7}]}, "occurs twice"),
    ({"images": [{"id": "7"}]}, r"images\[0\].*id"),
    ({"annotations": [annotation(8, standing())]}, "image_id 8"),
    ({"annotations": [annotation(7, standing()[:16])]}, r"annotations\[0\].keypoints"),
    ({"annotations": [annotation(7, standing(), bbox=[1, 2])]}, r"annotations\[0\].bbox"),
    ({"annotations": [annotation(7, standing(), bbox=[1, 2, -3, 4])]}, "negative size"),
    ({"annotations": [annotation(7, standing(), track_id=1.5)]}, "track_id"),
    ({"annotations": [annotation(7, standing(), score="high")]}, "score"),
    ({"annotations": [annotation(7, standing(), track_id=5)] * 2}, r"annotations\[1\].track_id 5 occurs twice"),
    ({"annotations": {"a": 1}}, "annotations"),
])  # fmt: skip
def test_damage_is_named(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    path = write(tmp_path / "poses.json", changes.pop("annotations", []), **changes)
    with pytest.raises(DatasetError, match=rf"poses\.json.*{says}"):
        read_poses(path, 0.5)


def test_frames_that_nobody_looked_at_are_not_empty(tmp_path: Path) -> None:
    images = [{"id": 7, "is_labeled": False}, {"id": 9, "is_labeled": True}]
    path = write(tmp_path / "poses.json", [], categories=[CATEGORY], images=images)
    assert read_poses(path, 0.5) == [None, ()]


@pytest.mark.parametrize("content", ["", "[1", "[]", "{}", "null"])
def test_what_holds_no_poses_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "poses.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DatasetError, match=r"poses\.json"):
        read_poses(path, 0.5)


def test_real_pseudo_labels_are_read(samples: Path) -> None:
    path = samples / "street/annotations/000001_street.json"
    if not path.is_file():
        pytest.skip(f"needs the pseudo-labels of a street: {path}")
    frames = read_poses(path, 0.5)
    tracks = [person.track_id for people in frames for person in people or ()]
    assert (len(frames), len(tracks), len(set(tracks))) == (795, 4287, 41)
