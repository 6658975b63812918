"""`dimofs label`: a video in, a data set in PoseTrack18's layout out, whose poses are a teacher's (pseudo-labels)."""

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from dimofs.config import Linker
from dimofs.datasets.coco import UNTRACKED, read_poses
from dimofs.datasets.folders import replacing_folder
from dimofs.datasets.footage import MARKER, image_name, pseudo_labels, write_sequence
from dimofs.datasets.manifest import is_manifest, write_manifest
from dimofs.datasets.records import DatasetError, Image, Person
from dimofs.tracking.link import Tracker
from dimofs.video.read import Picture, open_footage

#: From a picture to the people that a teacher sees in it, None where it did not look.
Teacher = Callable[[Picture], tuple[Person, ...] | None]

#: How people without tracks are linked: by their boxes, for joints may be missing; over gaps of eight frames.
LINKER = Linker(cost="iou", memory=8, max_cost=0.7)

#: The split that a labelled video is put into: it is there to be learned from.
SPLIT = "train"

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95]


@dataclass(frozen=True)
class Labelled:
    """What came out."""

    frames: int
    people: int  #: poses, over all frames
    tracks: int


def label(source: str | Path, out: Path, poses: Path | None, score: float) -> Labelled:
    """Write the frames of a video and its teacher's poses to the folder `out`, and beside it its manifest `out`.csv.

    source: a video file or a folder of images. poses: a file with the poses of every frame, see
    `dimofs.datasets.coco.read_poses`; None for torchvision's Keypoint R-CNN. score: least score of a person, where the
    teacher gives scores. Where it gives no tracks, people are linked by LINKER. An earlier labelling in `out` is
    replaced.

    Raises DatasetError: `out` holds other files, or `out`.csv is no manifest; the video or the poses cannot be read, or
    they do not fit each other.
    """
    if poses is None:
        from dimofs.video import teacher as network

        people_in = network.teacher(network.load_teacher(), score)
        return write_labelled(source, out, lambda picture: people_in(picture.image), network.NAME)
    given = read_poses(poses, score)

    def look_up(picture: Picture) -> tuple[Person, ...] | None:
        return given[picture.position] if picture.position < len(given) else None

    return write_labelled(source, out, look_up, poses.name, len(given))


def write_labelled(source: str | Path, out: Path, teacher: Teacher, name: str, expected: int | None = None) -> Labelled:
    """As `label`, with any teacher of that name, who knows the poses of `expected` frames if not of any."""
    out = Path(os.path.abspath(out))  # "." has no name; a link keeps its own
    if not out.name:
        raise DatasetError(f"{out}: is no folder that can be replaced; give another one")
    footage = open_footage(source)
    if not footage.lasting:
        raise DatasetError(f"{source}: is no recorded video; record it first")
    manifest = out.with_name(f"{out.name}.csv")
    if manifest.exists() and not is_manifest(manifest):
        raise DatasetError(f"{manifest}: is no manifest, and would be replaced by one; move it away and try again")
    info = {"description": pseudo_labels(name)}
    about = f"{info['description']}\nThe next `dimofs label` with this folder replaces it.\n"
    with replacing_folder(out, MARKER, about) as folder, closing(footage.pictures()) as pictures:
        sequence = Path(os.path.abspath(source)).stem.lstrip(".")  # readers take what begins with a dot for hidden
        (folder / image_name(SPLIT, sequence, 0)).parent.mkdir(parents=True)
        found: list[tuple[Person, ...] | None] = []
        for picture in tqdm(pictures, f"label {sequence}", footage.expected(), unit="frame", dynamic_ncols=True):
            _write_picture(picture.image, folder / image_name(SPLIT, sequence, picture.position))
            found.append(teacher(picture))
        if expected not in (None, len(found)):
            raise DatasetError(
                f"{name}: lists {expected} images, but {source} has {len(found)} frames that can be decoded; "
                "list every frame in its order, also those without people"
            )
        frames = with_tracks(found)
        write_sequence(folder, SPLIT, sequence, frames, info)
    write_manifest(out, manifest)
    tracks = [person.track_id for people in frames for person in people or ()]
    return Labelled(len(frames), len(tracks), len(set(tracks)))


def with_tracks(frames: Sequence[tuple[Person, ...] | None]) -> list[tuple[Person, ...] | None]:
    """Give people their tracks, frame after frame, unless all of them have one already."""
    if all(person.track_id != UNTRACKED for people in frames for person in people or ()):
        return list(frames)
    tracker = Tracker(LINKER)
    tracked: list[tuple[Person, ...] | None] = []
    for position, people in enumerate(frames):
        if people is None:
            tracked.append(None)
            continue
        boxes = np.array([person.box for person in people], np.float64).reshape(-1, 4)
        joints = np.array([person.joints for person in people], np.float64).reshape(-1, 17, 2)
        tracks = tracker.assign(position, boxes, joints).tolist()
        tracked.append(tuple(replace(person, track_id=track) for person, track in zip(people, tracks, strict=True)))
    return tracked


def _write_picture(image: Image, path: Path) -> None:
    if not cv2.imwrite(str(path), image[:, :, ::-1], _JPEG):
        raise DatasetError(f"{path}: cannot be written; is there room on the disk?")
