"""Reader of the PoseTrack18 layout (public labels v0.45): a JSON file of labels and a folder of JPEG frames a sequence.

    annotations/{train,val,test}/<sequence>.json
    images/{train,val,test}/<sequence>/<6-digit frame>.jpg

The ids in a label file are taken as they stand, never derived from names. Extra keys (mmpose, PoseTrack21) are ignored.
"""

import os
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from dimofs.datasets.json_files import read_json
from dimofs.datasets.missing import read_missing
from dimofs.datasets.records import POSETRACK_JOINTS, Array, DatasetError, Frame, Person, Video
from dimofs.io import read_together

_UNPACK = "unpack the archive again or correct the file"
#: `bbox` of the official files is the extent of the labelled joints, enlarged about its centre by this factor.
_BOX_ENLARGEMENT = 1.3
#: What label files say of the people in them: the names of the joints, and which are joined by a line, counted from 1.
CATEGORY = {
    "supercategory": "person",
    "id": 1,
    "name": "person",
    "keypoints": list(POSETRACK_JOINTS),
    "skeleton": [
        [16, 14], [14, 12], [17, 15], [15, 13], [12, 13], [6, 12], [7, 13], [6, 7], [6, 8], [7, 9], [8, 10], [9, 11],
        [2, 3], [1, 2], [1, 3], [2, 4], [3, 5], [4, 6], [5, 7],
    ],
}  # fmt: skip
#: Coordinates beyond this many pixels (and NaN, and infinity) are damage, not labels.
LARGEST_COORDINATE = 1e6


def read_posetrack18(root: Path) -> list[Video]:
    """Read every sequence of the splits that `root` holds, sorted by split and name.

    `Video.name` is the sequence (the label file's name), `Video.split` its folder under `annotations/`; see
    `read_posetrack18_file` for what a sequence becomes. Raises DatasetError for anything that cannot be read as it
    stands; no sequence is skipped but those that `MISSING.txt` names ("<split>/<sequence>"), where a partial data set
    was accepted.
    """
    missing = read_missing(root)
    return [video for folder in label_folders(root) for video in _read_split(root, folder, missing)]


def label_folders(root: Path) -> list[Path]:
    """Folders of the label files of the splits test, train and val, those that are there.

    Raises DatasetError where there is none.
    """
    folders = [root / "annotations" / split for split in ("test", "train", "val")]
    found = [folder for folder in folders if folder.is_dir()]
    if not found:
        raise DatasetError(
            f"{root / 'annotations'}: holds none of the folders train, val and test; "
            "give the folder that holds annotations/ and images/"
        )
    return found


def _read_split(root: Path, folder: Path, missing: set[str]) -> list[Video]:
    files = sorted(folder.glob("[!.]*.json"))
    if not files:
        raise DatasetError(f"{folder}: holds no label file (*.json); unpack the labels or remove the empty folder")
    split = folder.name
    present = [path for path in files if f"{split}/{path.stem}" not in missing]
    return read_together(lambda path: read_posetrack18_file(path, root, split), present)


def read_posetrack18_file(path: Path, root: Path, split: str) -> Video:
    """Read the label file of one sequence; image names in it are relative to `root`.

    - Every frame of the file is kept, labelled or not, in file order; frames must be consecutive, because a position in
      `Video.frames` stands for time. Every image file must exist.
    - A frame is labelled where `is_labeled` says so or where it holds annotations (poseval's rule).
    - A joint is labelled unless it is (0, 0, 0); one with coordinates and visibility 0 counts, as it does in poseval.
    - Boxes `bbox` and `bbox_head` (x, y, width, height) become x1 y1 x2 y2, not clipped to the frame. A `bbox` missing
      beside labelled joints is computed as the official ones are: 1.3 × the extent of those joints. The official files
      have none for people without labelled joints: their box is NaN. They are kept, because poseval judges a frame in
      which anybody at all was annotated.
    - Ignore regions with fewer than three corners cannot contain a point and are dropped.
    - Files of the test split may have no annotations at all: its labels were never published.

    Raises DatasetError naming file and field.
    """
    labels = read_labels(path)
    images = labels["images"]
    published = split != "test" or "annotations" in labels
    people = annotated_people(labels if published else {**labels, "annotations": []}, path)
    image_paths = _image_paths(images, path, root)
    frames = tuple(
        Frame(
            path=image_paths[position],
            labelled=(value_of(image, "is_labeled", bool, f"{path}: images[{position}]") and published)
            or position in people,
            people=people.get(position, ()),
            ignore_regions=_ignore_regions(image, f"{path}: images[{position}]"),
        )
        for position, image in enumerate(images)
    )
    return Video(name=path.stem, split=split, joint_names=POSETRACK_JOINTS, frames=frames, label=None)


def annotated_people(labels: dict[str, Any], path: Path) -> dict[int, tuple[Person, ...]]:
    """The people of the images of a label file that `read_labels` has read, by the image's position in it.

    An image without an annotation is left out; `path` is only named in messages.
    Raises DatasetError naming file and field.
    """
    images, annotations = labels["images"], records(labels, "annotations", path)
    positions: dict[int, int] = {}
    for position, image in enumerate(images):
        image_id = value_of(image, "id", int, f"{path}: images[{position}]")
        if image_id in positions:
            raise DatasetError(f"{path}: images[{position}].id {image_id} occurs twice; {_UNPACK}")
        positions[image_id] = position

    annotated = defaultdict(list)
    for index, annotation in enumerate(annotations):
        where = f"{path}: annotations[{index}]"
        image_id = value_of(annotation, "image_id", int, where)
        if image_id not in positions:
            raise DatasetError(f"{where}.image_id {image_id} is the id of no image of this file; {_UNPACK}")
        annotated[positions[image_id]].append((where, annotation))
    return {position: _people(found) for position, found in annotated.items()}


def read_labels(path: Path) -> dict[str, Any]:
    """Read a label file as it stands, after checking that it lists images and has the joints of PoseTrack18.

    Raises DatasetError naming file and field.
    """
    labels: dict[str, Any] = read_json(path, dict, _UNPACK)
    _check_joint_order(labels, path)
    if not records(labels, "images", path):
        raise DatasetError(f"{path}: images is empty; {_UNPACK}")
    return labels


def _check_joint_order(labels: dict[str, Any], path: Path) -> None:
    categories = records(labels, "categories", path)
    names = value_of(categories[0], "keypoints", list, f"{path}: categories[0]") if categories else []
    if tuple(names) != POSETRACK_JOINTS:
        raise DatasetError(
            f"{path}: categories[0].keypoints must be the 17 joints of PoseTrack18 in their order "
            f"({', '.join(POSETRACK_JOINTS)}), got {names}; convert the labels to PoseTrack18's"
        )


def _image_paths(images: list[dict[str, Any]], path: Path, root: Path) -> list[Path]:
    names = [value_of(image, "file_name", str, f"{path}: images[{i}]") for i, image in enumerate(images)]
    for position, name in enumerate(names):
        if os.path.isabs(name) or ".." in Path(name).parts:
            raise DatasetError(f"{path}: images[{position}].file_name {name} leads out of the data set; {_UNPACK}")
    for position, (before, after) in enumerate(pairwise(names), start=1):
        if _frame_number(after, path, position) != _frame_number(before, path, position - 1) + 1 or (
            os.path.dirname(after) != os.path.dirname(before)
        ):
            raise DatasetError(
                f"{path}: images[{position}].file_name {after} does not follow {before}; a file must list the "
                "consecutive frames of one sequence, labelled or not: take the label file of a single sequence"
            )
    paths = [root / name for name in names]
    for position, image_path in enumerate(paths):
        if not image_path.is_file():
            raise DatasetError(
                f"{image_path}: no such image, but it is images[{position}].file_name of {path}; unpack the images of "
                f"this sequence under {root}"
            )
    return paths


def _frame_number(name: str, path: Path, position: int) -> int:
    stem = os.path.splitext(os.path.basename(name))[0]
    if not (stem.isascii() and stem.isdigit()):
        raise DatasetError(f"{path}: images[{position}].file_name {name} is not a frame number; {_UNPACK}")
    return int(stem)


def _people(annotations: list[tuple[str, dict[str, Any]]]) -> tuple[Person, ...]:
    people = []
    track_ids = set()
    for where, annotation in annotations:
        track_id = value_of(annotation, "track_id", int, where)
        if track_id in track_ids:
            raise DatasetError(f"{where}.track_id {track_id} occurs twice in one frame; correct the file")
        track_ids.add(track_id)

        values = value_of(annotation, "keypoints", list, where)
        keypoints = numbers(values, 3 * len(POSETRACK_JOINTS), f"{where}.keypoints").reshape(-1, 3)
        joints, visible = keypoints[:, :2], keypoints[:, 2]
        if not np.isin(visible, (0, 1)).all():
            raise DatasetError(
                f"{where}.keypoints: every third must be 0 or 1, got {visible.tolist()}; correct the file"
            )
        labelled = (keypoints != 0).any(axis=1)

        box = box_of(annotation, "bbox", where)
        if box is None:
            box = enlarged_extent(joints[labelled])
        people.append(Person(track_id, box, box_of(annotation, "bbox_head", where), joints, labelled))
    return tuple(people)


def box_of(annotation: dict[str, Any], name: str, where: str) -> Array | None:
    """Read a box (x, y, width, height) as (4,) x1 y1 x2 y2, None where there is none. Raises DatasetError."""
    if name not in annotation:
        return None
    x, y, width, height = numbers(annotation[name], 4, f"{where}.{name}")
    if width < 0 or height < 0:
        raise DatasetError(f"{where}.{name} has the negative size {width} × {height}; correct the file")
    return np.array([x, y, x + width, y + height], np.float32)


def enlarged_extent(joints: Array) -> Array:
    """Box (4,) of labelled joints (N, 2) as the official files have it: 1.3 × their extent; NaN for no joint."""
    if not len(joints):
        return np.full(4, np.nan, np.float32)
    low, high = joints.min(axis=0), joints.max(axis=0)
    centre, half = (low + high) / 2, (high - low) / 2 * _BOX_ENLARGEMENT
    return np.concatenate([centre - half, centre + half]).astype(np.float32)


def _ignore_regions(image: dict[str, Any], where: str) -> tuple[Array, ...]:
    names = ("ignore_regions_x", "ignore_regions_y")
    if not any(name in image for name in names):
        return ()
    field = f"{where}.ignore_regions_x and ignore_regions_y"
    all_x, all_y = (value_of(image, name, list, where) for name in names)
    sizes_x, sizes_y = ([len(side) if isinstance(side, list) else None for side in sides] for sides in (all_x, all_y))
    if sizes_x != sizes_y or None in sizes_x:
        raise DatasetError(f"{field} must be parallel lists of polygons, got sizes {sizes_x} and {sizes_y}; {_UNPACK}")
    return tuple(
        np.stack([numbers(xs, len(xs), field), numbers(ys, len(ys), field)], axis=1)
        for xs, ys in zip(all_x, all_y, strict=True)
        if len(xs) >= 3
    )


def records(labels: dict[str, Any], name: str, path: Path) -> list[dict[str, Any]]:
    """Get a list of JSON objects from a label file. Raises DatasetError naming file and field."""
    found = value_of(labels, name, list, str(path))
    for index, record in enumerate(found):
        if not isinstance(record, dict):
            raise DatasetError(f"{path}: {name}[{index}] must be a JSON object, got {record!r:.40}; {_UNPACK}")
    return found


def value_of(record: dict[str, Any], name: str, kind: type, where: str) -> Any:
    """Get a field of a JSON object that must be of this very type. Raises DatasetError naming `where` it stands."""
    if name not in record:
        raise DatasetError(f"{where}: the field {name} is missing; {_UNPACK}")
    value = record[name]
    if type(value) is not kind:  # not isinstance: true is an int to Python, but no id
        raise DatasetError(f"{where}: the field {name} must be of type {kind.__name__}, got {value!r:.40}; {_UNPACK}")
    return value


def numbers(values: object, size: int, field: str) -> Array:
    """Check that a field is a list of so many finite numbers and make an array of it. Raises DatasetError naming it."""
    if not isinstance(values, list) or len(values) != size:
        got = f"{len(values)} values" if isinstance(values, list) else f"{values!r:.40}"
        raise DatasetError(f"{field} must be a list of {size} numbers, got {got}; {_UNPACK}")
    for index, value in enumerate(values):
        if not isinstance(value, int | float) or not abs(value) <= LARGEST_COORDINATE:
            raise DatasetError(f"{field}[{index}] must be a finite number, got {value!r:.40}; correct the file")
    return np.array(values, np.float32)
