"""Reader of the PoseTrack17 layout (labels v0.75): a MATLAB or JSON file of labels and a folder of frames a sequence.

    annotations/{train,val,test}/<name>.mat     official; or <name>.json, what poseval's converter makes of it
    images/<source>/<sequence>/*.jpg            the folder that the label file's image names lead to

A label file is not called like its folder of images, and the number in both stands for two sequences sometimes, so a
sequence is known by the name of its label file alone. Structure of both kinds, where JSON wraps every scalar in a list:

    annolist[frame].image.name                               relative to the data set
                   .is_labeled                               0 or 1
                   .ignore_regions[r].point[k].{x, y}
                   .annorect[person].{x1, y1, x2, y2}        the head box
                                    .track_id
                                    .annopoints.point[k].{id, x, y, is_visible}

No official file could be looked at while this was written: it follows poseval's code, which reads both kinds. MATLAB
files are read by scipy, which believes what they say of themselves: a damaged one may end the process without a word.
"""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from dimofs.datasets.json_files import read_json
from dimofs.datasets.missing import read_missing
from dimofs.datasets.posetrack import LARGEST_COORDINATE, enlarged_extent, label_folders
from dimofs.datasets.records import POSETRACK_JOINTS, Array, DatasetError, Frame, Person, Video

_UNPACK = "unpack the archive again or correct the file"
#: The joints by their id in the files. What these call neck is PoseTrack18's head_bottom.
_IDS = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist", "right_elbow",
    "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "head_bottom", "nose", "head_top",
)  # fmt: skip
_SLOTS = [POSETRACK_JOINTS.index(name) for name in _IDS]

Record = dict[str, Any]


def read_posetrack17(root: Path) -> list[Video]:
    """Read every sequence of the splits that `root` holds, sorted by split and name.

    `Video.name` is the label file's name without its ending, `Video.split` its folder under `annotations/`; see
    `read_posetrack17_file` for what a sequence becomes. Raises DatasetError for anything that cannot be read as it
    stands; no sequence is skipped but those that `MISSING.txt` names ("<split>/<name>"), where a partial data set was
    accepted.
    """
    missing = read_missing(root)
    return [
        read_posetrack17_file(path, root, folder.name)
        for folder in label_folders(root)
        for path in label_files(folder)
        if f"{folder.name}/{path.stem}" not in missing
    ]


def label_files(folder: Path) -> list[Path]:
    """The label file of each sequence of a split's folder, sorted; of a sequence that has both kinds, the JSON file.

    Raises DatasetError where there is none.
    """
    paths = {path.stem: path for ending in ("mat", "json") for path in sorted(folder.glob(f"[!.]*.{ending}"))}
    if not paths:
        raise DatasetError(f"{folder}: holds no label file (*.mat, *.json); unpack the labels or remove the folder")
    return [paths[stem] for stem in sorted(paths)]


def image_folder(path: Path, root: Path) -> Path:
    """Folder of the images of a label file's sequence, which need not be there.

    Raises DatasetError where the label file cannot be read that far.
    """
    return (root / _image_name(_annolist(path)[0], f"{path}: annolist[0]")).parent


def read_posetrack17_file(path: Path, root: Path, split: str) -> Video:
    """Read the label file (.mat or .json) of one sequence; image names in it are relative to `root`.

    - People have the 17 joints of PoseTrack18 in their order, so that everything behind the reader is the same; ears
      are never labelled, and the neck is head_bottom.
    - Coordinates are taken as they stand, as in poseval and in the conversion to PoseTrack18.
    - Every frame of the file is kept, labelled or not, in file order; frames must be consecutive: the numbers that
      their names begin with rise by one. Every image file must exist.
    - A frame is labelled where `is_labeled` says so or where it holds people (poseval's rule).
    - A joint is labelled where its point is listed, visible or not; of two points with one id the first counts.
    - A person's box is not in the files: it is that of the labelled joints, made as PoseTrack18's are. People without
      any joint are kept with a box of NaN, because poseval judges a frame in which anybody at all was annotated.
    - Corners of the head box may come in any order; without all four of its values there is none.
    - Ignore regions with fewer than three corners cannot contain a point and are dropped.

    Raises DatasetError naming file and field.
    """
    annolist = _annolist(path)
    where = [f"{path}: annolist[{position}]" for position in range(len(annolist))]
    paths = [root / _image_name(record, at) for record, at in zip(annolist, where, strict=True)]
    numbers = [_frame_number(image, at) for image, at in zip(paths, where, strict=True)]
    for i, j in pairwise(range(len(paths))):
        if numbers[j] != numbers[i] + 1 or paths[j].parent != paths[i].parent:
            raise DatasetError(
                f"{where[j]}.image.name {paths[j].name} does not follow {paths[i].name}; a file must list the "
                f"consecutive frames of one sequence, labelled or not; {_UNPACK}"
            )
    for image, at in zip(paths, where, strict=True):
        if not image.is_file():
            raise DatasetError(
                f"{image}: no such image, but it is that of {at}; unpack the images of this sequence under {root}"
            )
    frames = []
    for record, image, at in zip(annolist, paths, where, strict=True):
        people = _people(record, at)
        labelled = bool(people) or _whole_number(record, "is_labeled", at, missing=0) == 1
        frames.append(Frame(image, labelled, people, _ignore_regions(record, at)))
    return Video(path.stem, split, POSETRACK_JOINTS, tuple(frames), label=None)


def _annolist(path: Path) -> list[Record]:
    content = read_json(path, dict, _UNPACK) if path.suffix == ".json" else _read_mat(path)
    if "annolist" not in content:
        raise DatasetError(f"{path}: the field annolist is missing; is it a label file of PoseTrack17?")
    frames = _records(content, "annolist", f"{path}:")
    if not frames:
        raise DatasetError(f"{path}: annolist is empty; {_UNPACK}")
    return frames


def _read_mat(path: Path) -> Record:
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; unpack the labels again")
    try:
        content = scipy.io.loadmat(path, variable_names=["annolist"], squeeze_me=True, struct_as_record=False)
    except Exception as error:  # scipy answers a damaged file with a dozen unrelated types of error
        raise DatasetError(f"{path}: is not a complete MATLAB 5 file ({error}); {_UNPACK}") from error
    return {name: _plain(value) for name, value in content.items() if name == "annolist"}


def _plain(value: Any) -> Any:
    """A value of a MATLAB file as JSON would have it: objects, lists, strings and numbers."""
    if isinstance(value, scipy.io.matlab.mat_struct):
        return {name: _plain(field) for name, field in vars(value).items() if name != "_fieldnames"}
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.ravel()]
    return value.item() if isinstance(value, np.generic) else value


def _image_name(frame: Record, where: str) -> str:
    images = _records(frame, "image", where)
    name = _scalar(images[0], "name") if images else None
    if not isinstance(name, str) or not name or ".." in Path(name).parts or Path(name).is_absolute():
        raise DatasetError(f"{where}.image.name must be a path inside the data set, got {name!r:.80}; {_UNPACK}")
    return name


def _frame_number(image: Path, where: str) -> int:
    digits = re.match("[0-9]+", image.name)
    if digits is None:
        raise DatasetError(f"{where}.image.name {image.name} does not begin with a frame number; {_UNPACK}")
    return int(digits[0])


def _people(frame: Record, where: str) -> tuple[Person, ...]:
    people: list[Person] = []
    for index, record in enumerate(_records(frame, "annorect", where)):
        at = f"{where}.annorect[{index}]"
        track_id = _whole_number(record, "track_id", at)
        if track_id in {person.track_id for person in people}:
            raise DatasetError(f"{at}.track_id {track_id} occurs twice in one frame; correct the file")
        joints, labelled = _joints(record, at)
        people.append(Person(track_id, enlarged_extent(joints[labelled]), _head_box(record, at), joints, labelled))
    return tuple(people)


def _joints(person: Record, where: str) -> tuple[Array, np.ndarray]:
    joints, labelled = np.zeros((len(POSETRACK_JOINTS), 2), np.float32), np.zeros(len(POSETRACK_JOINTS), bool)
    lists = _records(person, "annopoints", where)
    for index, point in enumerate(_records(lists[0], "point", f"{where}.annopoints") if lists else []):
        at = f"{where}.annopoints.point[{index}]"
        joint = _whole_number(point, "id", at)
        if not 0 <= joint < len(_SLOTS):
            raise DatasetError(f"{at}.id must be 0 to {len(_SLOTS) - 1}, got {joint}; {_UNPACK}")
        if not labelled[_SLOTS[joint]]:
            joints[_SLOTS[joint]] = _number(point, "x", at), _number(point, "y", at)
            labelled[_SLOTS[joint]] = True
    return joints, labelled


def _head_box(person: Record, where: str) -> Array | None:
    names = ("x1", "y1", "x2", "y2")
    if any(_scalar(person, name) is None for name in names):
        return None
    x1, y1, x2, y2 = (_number(person, name, where) for name in names)
    return np.array([min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)], np.float32)


def _ignore_regions(frame: Record, where: str) -> tuple[Array, ...]:
    regions = []
    for index, region in enumerate(_records(frame, "ignore_regions", where)):
        at = f"{where}.ignore_regions[{index}]"
        corners = [
            (_number(point, "x", f"{at}.point[{k}]"), _number(point, "y", f"{at}.point[{k}]"))
            for k, point in enumerate(_records(region, "point", at))
        ]
        if len(corners) >= 3:
            regions.append(np.array(corners, np.float32))
    return tuple(regions)


def _records(record: Record, name: str, where: str) -> list[Record]:
    """Structures under a name: MATLAB makes one of a list of one, and an empty list of none."""
    value = record.get(name, [])
    records = value if isinstance(value, list) else [value]
    for index, item in enumerate(records):
        if not isinstance(item, dict):
            raise DatasetError(f"{where}.{name}[{index}] must be a structure, got {item!r:.40}; {_UNPACK}")
    return records


def _scalar(record: Record, name: str) -> Any:
    """One value, which JSON wraps in a list; None where there is none."""
    value = record.get(name)
    if isinstance(value, list) and len(value) <= 1:
        return value[0] if value else None
    return value


def _number(record: Record, name: str, where: str) -> float:
    value = _scalar(record, name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST_COORDINATE:
        raise DatasetError(f"{where}.{name} must be a finite number, got {value!r:.40}; correct the file")
    return float(value)


def _whole_number(record: Record, name: str, where: str, missing: int | None = None) -> int:
    value = _scalar(record, name)
    if value is None and missing is not None:
        return missing
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**63 or value % 1:
        raise DatasetError(f"{where}.{name} must be a whole number, got {value!r:.40}; {_UNPACK}")
    return int(value)
