"""Footage with pseudo-labels in the layout of PoseTrack18: a whole video, and the clips that it is cut into.

images/<split>/<sequence>/<6-digit frame>.jpg     counted from 0
annotations/<split>/<sequence>.json               PoseTrack18's fields, and `info`: whose poses these are
PSEUDO-LABELS.txt                                 the same for people who look into the folder
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dimofs.config import Footage, FrameRange
from dimofs.datasets.folders import replacing_folder
from dimofs.datasets.json_files import read_json
from dimofs.datasets.posetrack import CATEGORY, read_posetrack18
from dimofs.datasets.records import Array, DatasetError, Person, Video

#: The file that says so, and marks a folder as one that may be replaced.
MARKER = "PSEUDO-LABELS.txt"


def pseudo_labels(teacher: str) -> str:
    """Say what labels of a teacher are."""
    return f"Pseudo-labels: poses that a teacher found ({teacher}), not annotations by people."


def image_name(split: str, name: str, frame: int) -> str:
    """Name the file of a frame, relative to the data set's folder."""
    return f"images/{split}/{name}/{frame:06d}.jpg"


def write_sequence(
    root: Path, split: str, name: str, frames: Sequence[tuple[Person, ...] | None], info: dict[str, Any]
) -> None:
    """Write the label file of a sequence: the people of each frame, None where it is not labelled."""
    images = [
        {
            "id": 1 + frame,
            "frame_id": 1 + frame,
            "vid_id": name,
            "nframes": len(frames),
            "is_labeled": people is not None,
            "file_name": image_name(split, name, frame),
            "ignore_regions_x": [],
            "ignore_regions_y": [],
        }
        for frame, people in enumerate(frames)
    ]
    annotations = [
        _annotation(1 + frame, index, person)
        for frame, people in enumerate(frames)
        for index, person in enumerate(people or ())
    ]
    path = root / "annotations" / split / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"info": info, "images": images, "annotations": annotations, "categories": [CATEGORY]}
    path.write_text(json.dumps(content), encoding="utf-8")


def cut(name: str, labelled: Path, footage: Footage, root: Path) -> None:
    """Cut the one video of a folder of `dimofs label` into clips, and write them to the folder `root`.

    name: "posetrack18": clips of train and val, each of about `clip_frames` labelled frames and, around them, up to
    `margin` unlabelled ones of the same part, so that Frames B lie inside; or "stills": the labelled training frames
    alone. Clips are named by their first labelled frame. An earlier cut in `root` is replaced.

    Raises DatasetError where the folder holds another number of videos, or fewer frames than the parts need, where
    nothing says whose poses these are, or where `root` is the folder itself.
    """
    if root.resolve() == labelled.resolve():
        raise DatasetError(f"{root}: is the labelled video itself; cut it into another folder")
    if name not in ("posetrack18", "stills"):
        raise DatasetError(f"{name}: cannot be cut from footage; posetrack18 and stills can")
    videos = read_posetrack18(labelled)
    if len(videos) != 1:
        raise DatasetError(f"{labelled}: holds {len(videos)} videos; give what `dimofs label` made of one")
    (video,) = videos
    parts = {"train": footage.train, "val": footage.val} if name == "posetrack18" else {"train": footage.train}
    last = max(part.last for part in parts.values())
    if last >= len(video.frames):
        raise DatasetError(f"{labelled}: its video has {len(video.frames)} frames, so there is no frame {last}")
    path = labelled / "annotations" / video.split / f"{video.name}.json"
    info = read_json(path, dict, "label again").get("info")
    if not isinstance(info, dict) or not isinstance(info.get("description"), str):
        raise DatasetError(f"{path}: info.description must say whose poses these are; label again with `dimofs label`")
    with replacing_folder(root, MARKER, f"{info['description']}\nThe next cut replaces the folder.\n") as folder:
        for split, part in parts.items():
            for clip in clips(part, footage.clip_frames):
                margin = footage.margin if name == "posetrack18" else 0
                _write_clip(folder, split, video, clip, margin, part, info)


def clips(part: FrameRange, length: int) -> list[FrameRange]:
    """Divide a part into clips of about `length` frames, all of the same length but for one frame."""
    count = max(1, round((part.last - part.first + 1) / length))
    pieces = np.array_split(np.arange(part.first, part.last + 1), count)
    return [FrameRange(first=int(piece[0]), last=int(piece[-1])) for piece in pieces]


def _write_clip(
    root: Path, split: str, video: Video, clip: FrameRange, margin: int, part: FrameRange, info: dict[str, Any]
) -> None:
    name = f"{clip.first:06d}_{video.name}"
    shown = range(max(part.first, clip.first - margin), min(part.last, clip.last + margin) + 1)
    (root / "images" / split / name).mkdir(parents=True)
    for frame, position in enumerate(shown):
        shutil.copyfile(video.frames[position].path, root / image_name(split, name, frame))
    inside = ((clip.first <= position <= clip.last, video.frames[position]) for position in shown)
    people = [frame.people if wanted and frame.labelled else None for wanted, frame in inside]
    write_sequence(root, split, name, people, info)


def _annotation(image: int, index: int, person: Person) -> dict[str, Any]:
    keypoints = np.column_stack([np.where(person.labelled[:, None], person.joints, 0), person.labelled])
    annotation = {
        "id": 100 * image + index,
        "image_id": image,
        "track_id": person.track_id,
        "category_id": 1,
        "keypoints": _rounded(keypoints),
        "scores": [],
    }
    for name, box in (("bbox", person.box), ("bbox_head", person.head_box)):
        if box is not None and np.isfinite(box).all():
            annotation[name] = _rounded(np.concatenate([box[:2], box[2:] - box[:2]]))
    return annotation


def _rounded(values: Array) -> list[float]:
    """Hundredths of a pixel are enough."""
    return [round(float(value), 2) for value in values.ravel()]
