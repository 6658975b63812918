"""Poses in COCO's 17 joints, as most pose estimators give them, in the slots of PoseTrack18.

COCO has eyes and ears where PoseTrack18 has the two ends of the head (A20). The neck (slot head_bottom) is the middle
of the shoulders, as the official exporters have it (A21). The top of the head lies on the line from there through the
middle of what is seen of the face, 1.6 times as far: of an adult's height the shoulders are at 82 %, nose, eyes and
ears at 93 % on average, the top at 100 %. The head's box stands upright around neck and top, as high as they are apart
and 0.8 times as wide. Without shoulders or face it lies at the top of the person's box, 18 % as high, and head_top (and
head_bottom, without both shoulders) is not labelled. Ears are dropped.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimofs.datasets.json_files import read_json
from dimofs.datasets.posetrack import annotated_people, box_of, enlarged_extent, numbers, read_labels, records, value_of
from dimofs.datasets.records import Array, DatasetError, Person

#: COCO's joints, in file order.
COCO_JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip

#: A person whose track is not known.
UNTRACKED = -1

#: Joints with a smaller third number are not labelled. It is a flag (0, 1, 2), or a score as other tools write it.
LEAST_JOINT_SCORE = 0.2

_FACE, _SHOULDERS = slice(0, 5), slice(5, 7)
_NECK, _HEAD_TOP, _EARS = 1, 2, slice(3, 5)
_FACE_TO_TOP = 1.6  # of the way from the neck
_HEAD_WIDTH = 0.8  # of its height
_HEAD_HEIGHT = 0.18  # of the person's box


def as_posetrack(keypoints: Array, box: Array | None, track: int = UNTRACKED) -> Person | None:
    """Turn a pose of COCO's joints into a person of PoseTrack18's, None where none of its joints is labelled.

    keypoints: (17, 3) x, y and a flag or score; box: (4,) x1 y1 x2 y2; pixels. Without a box it is made of the joints,
    as PoseTrack18's are.
    """
    seen = keypoints[:, 2] >= LEAST_JOINT_SCORE
    joints, labelled = keypoints[:, :2].astype(np.float32), seen.copy()
    labelled[_NECK] = seen[_SHOULDERS].all()
    labelled[_HEAD_TOP] = labelled[_NECK] and seen[_FACE].any()
    labelled[_EARS] = False
    if not labelled.any():  # nothing, or eyes and ears alone
        return None
    box = enlarged_extent(joints[seen]) if box is None else box
    neck, top = joints[_SHOULDERS].mean(axis=0), joints[_HEAD_TOP]
    if labelled[_HEAD_TOP]:
        top = neck + _FACE_TO_TOP * (joints[_FACE][seen[_FACE]].mean(axis=0) - neck)
    joints[_NECK], joints[_HEAD_TOP] = neck, top
    return Person(track, box, head_box(joints, labelled, box), np.where(labelled[:, None], joints, 0), labelled)


def head_box(joints: Array, labelled: NDArray[np.bool_], box: Array) -> Array:
    """Make the head's box (4,) of a person in PoseTrack18's slots: joints (17, 2), labelled (17,), box (4,)."""
    if labelled[_NECK] and labelled[_HEAD_TOP]:
        middle = (joints[_NECK] + joints[_HEAD_TOP]) / 2
        height = np.linalg.norm(joints[_HEAD_TOP] - joints[_NECK])
    else:
        height = _HEAD_HEIGHT * (box[3] - box[1])
        middle = np.array([(box[0] + box[2]) / 2, box[1] + height / 2])
    half = np.array([_HEAD_WIDTH, 1.0]) * height / 2
    return np.concatenate([middle - half, middle + half]).astype(np.float32)


def read_poses(path: Path, score: float) -> list[tuple[Person, ...] | None]:
    """Read the people of every image of a JSON file, in the order of the file: COCO keypoints, or PoseTrack18.

    None stands for an image that PoseTrack18's file calls unlabelled; COCO's know no such thing.
    The file is an object with images, annotations and categories; the joints that its first category names tell which
    of the two it is. COCO: `bbox` and `track_id` may be missing, people whose `score` is given and below `score` are
    left out, and people without a labelled joint as well. People of PoseTrack18 files stay as they are, with their
    tracks; a missing `bbox_head` is made as for COCO.

    Raises DatasetError naming file and field.
    """
    labels: dict[str, Any] = read_json(path, dict, "give COCO keypoints or PoseTrack18's labels")
    categories = records(labels, "categories", path)
    if categories and categories[0].get("keypoints") == list(COCO_JOINTS):
        found = _coco_people(labels, path, score)
        return [found.get(position, ()) for position in range(len(labels["images"]))]
    labels = read_labels(path)
    people = annotated_people(labels, path)
    poses: list[tuple[Person, ...] | None] = []
    for position, image in enumerate(labels["images"]):
        labelled = value_of(image, "is_labeled", bool, f"{path}: images[{position}]") or position in people
        poses.append(tuple(map(_with_head, people.get(position, ()))) if labelled else None)
    return poses


def _coco_people(labels: dict[str, Any], path: Path, score: float) -> dict[int, tuple[Person, ...]]:
    images = [
        value_of(image, "id", int, f"{path}: images[{index}]")
        for index, image in enumerate(records(labels, "images", path))
    ]
    positions = {image: position for position, image in enumerate(images)}
    if len(positions) < len(images):
        raise DatasetError(f"{path}: images: an id occurs twice; correct the file")
    people: dict[int, list[Person]] = defaultdict(list)
    for index, annotation in enumerate(records(labels, "annotations", path)):
        where = f"{path}: annotations[{index}]"
        image = value_of(annotation, "image_id", int, where)
        if image not in positions:
            raise DatasetError(f"{where}.image_id {image} is the id of no image of this file; correct the file")
        if "score" in annotation and numbers([annotation["score"]], 1, f"{where}.score")[0] < score:
            continue
        keypoints = numbers(value_of(annotation, "keypoints", list, where), 51, f"{where}.keypoints").reshape(17, 3)
        track = value_of(annotation, "track_id", int, where) if "track_id" in annotation else UNTRACKED
        person = as_posetrack(keypoints, box_of(annotation, "bbox", where), track)
        if person is not None:
            if track != UNTRACKED and any(other.track_id == track for other in people[positions[image]]):
                raise DatasetError(f"{where}.track_id {track} occurs twice in one image; correct the file")
            people[positions[image]].append(person)
    return {position: tuple(found) for position, found in people.items()}


def _with_head(person: Person) -> Person:
    if person.head_box is not None:
        return person
    head = head_box(person.joints, person.labelled, person.box)
    return Person(person.track_id, person.box, head, person.joints, person.labelled)
