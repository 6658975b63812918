"""A contact sheet: some videos of a data set with everything that is annotated drawn in, several moments of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from dimofs.datasets.corpus import Action, read_corpus
from dimofs.datasets.diving48 import Dive, decode, read_diving48, read_vocabulary
from dimofs.datasets.jhmdb import read_jhmdb
from dimofs.datasets.manifest import dataset_root
from dimofs.datasets.posetrack import read_posetrack18
from dimofs.datasets.records import JHMDB_CLASSES, Array, DatasetError, Frame, Person, Video
from dimofs.io import replacing

Picture = NDArray[Any]  # uint8, BGR

_WIDTH = 1080  # pixels of the sheet
_MARGIN, _CAPTION = 6, 18
_PAPER, _INK = (255, 255, 255), (40, 40, 40)
_LEFT, _RIGHT, _MIDDLE = (60, 150, 255), (255, 190, 60), (120, 230, 120)
_BOX, _HEAD, _IGNORE = (255, 255, 255), (80, 240, 255), (60, 60, 230)
_FONT = cv2.FONT_HERSHEY_SIMPLEX

_LIMBS = (
    ("head_top", "nose"), ("nose", "head_bottom"), ("face", "neck"), ("neck", "belly"),
    *((f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in (
        ("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"), ("shoulder", "hip"),
    )),
    *((middle, f"{side}_shoulder") for middle in ("head_bottom", "neck") for side in ("left", "right")),
    ("left_hip", "right_hip"), ("belly", "left_hip"), ("belly", "right_hip"),
)  # fmt: skip


@dataclass(frozen=True)
class _Strip:
    """Some frames of a video beside each other."""

    caption: str
    video: Video | Dive | Action
    positions: tuple[int, ...]


def contact_sheet(manifest: Path, out: Path) -> None:
    """Draw a contact sheet of a data set in the PoseTrack18, JHMDB or Diving48 layout, or of the corpus, as a PNG.

    Skeletons are orange on the person's left and blue on the right, boxes white with the track id, head boxes yellow,
    ignore regions red; frames without labels say so.

    Raises DatasetError where the data set is missing or cannot be read.
    """
    root = dataset_root(manifest)
    if (root / "splits").is_dir():
        strips, columns = _one_of_each_class(read_jhmdb(root, 1)), 3
    elif (root / "labels.json").is_file():
        strips, columns = _one_of_each_class(read_corpus(root)), 3
    elif (root / "Diving48_vocab.json").is_file():
        strips, columns = _dives(root), 1
    else:
        videos = read_posetrack18(root)
        stills = all(len(video.frames) == 1 for video in videos)
        strips, columns = (_spread(videos, 30, 1), 6) if stills else (_spread(videos, 6, 6), 1)
    rows = [strips[start : start + columns] for start in range(0, len(strips), columns)]
    across = columns * len(strips[0].positions)
    cell = (_WIDTH - _MARGIN) // across - _MARGIN
    sheet = np.concatenate([_row(row, cell, across) for row in rows])
    # Five bits a channel: half the bytes, and no difference to the eye on pictures with noise.
    sheet = np.where(sheet == 255, sheet, sheet & 0xF8)
    with replacing(out) as temporary:
        cv2.imwrite(str(temporary), np.pad(sheet, ((_MARGIN, 0), (0, 0), (0, 0)), constant_values=255))


def _spread(videos: Sequence[Video], count: int, moments: int) -> list[_Strip]:
    """So many videos, evenly over the list, and moments of each, evenly over its frames."""
    chosen = [videos[index] for index in np.unique(np.linspace(0, len(videos) - 1, count).astype(int))]
    return [_Strip(f"{video.split}/{video.name}", video, _moments(video, moments)) for video in chosen]


def _one_of_each_class(videos: Sequence[Video | Action]) -> list[_Strip]:
    """The first clip of every class, three moments each."""
    first = {video.label: video for video in reversed(videos)}
    found = [(name, first[label]) for label, name in enumerate(JHMDB_CLASSES) if label in first]
    return [_Strip(name, video, _moments(video, 3)) for name, video in found]


def _dives(root: Path) -> list[_Strip]:
    """A dive of every third class, fourteen moments each; not always the first, so that more source videos are seen."""
    version: Literal["V1", "V2"] = "V2" if (root / "Diving48_V2_train.json").is_file() else "V1"
    of_class: dict[int, list[Dive]] = {}
    for dive in read_diving48(root, version):
        of_class.setdefault(dive.label, []).append(dive)
    words = read_vocabulary(root)
    chosen = [of_class[label][row % len(of_class[label])] for row, label in enumerate(sorted(of_class)[::3])]
    return [_Strip(" ".join(words[dive.label]), dive, _moments(dive, 14)) for dive in chosen]


def _moments(video: Video | Dive | Action, count: int) -> tuple[int, ...]:
    frames = len(video.frames) if isinstance(video, Video) else video.frames
    return tuple(int(position) for position in np.linspace(0, frames - 1, count).round())


def _row(strips: Sequence[_Strip], cell: int, across: int) -> Picture:
    """One row of the sheet, always as wide as `across` cells."""
    width = across * (cell + _MARGIN) + _MARGIN
    row = np.full((_CAPTION + cell + _MARGIN, width, 3), 255, np.uint8)
    left = _MARGIN
    for strip in strips:
        room = len(strip.positions) * (cell + _MARGIN) - _MARGIN
        caption = strip.caption
        while cv2.getTextSize(caption, _FONT, 0.38, 1)[0][0] > room:
            caption = caption[:-1]
        cv2.putText(row, caption, (left, _CAPTION - 6), _FONT, 0.38, _INK, 1, cv2.LINE_AA)
        for picture in _cells(strip, cell):
            row[_CAPTION : _CAPTION + cell, left : left + cell] = picture
            left += cell + _MARGIN
    return row


def _cells(strip: _Strip, cell: int) -> list[Picture]:
    """The frames of a strip with their labels; those of a video file, which have none, are decoded in one go."""
    video = strip.video
    if isinstance(video, Video):
        return [_cell(video.frames[position], video.joint_names, position, cell) for position in strip.positions]
    chosen = sorted({*strip.positions})  # a short video has some moments twice
    found = dict(zip(chosen, decode(video.path, video.frames, chosen), strict=True))
    return [_noted(_fitted(found[position][..., ::-1], cell)[0], f"{position}") for position in strip.positions]


def _cell(frame: Frame, names: tuple[str, ...], position: int, cell: int) -> Picture:
    """One frame with its labels, cell × cell."""
    picture = cv2.imread(str(frame.path))
    if picture is None:
        raise DatasetError(f"{frame.path}: is no picture that can be read; make the data set again")
    canvas, view, scale = _fitted(picture, cell)
    _draw_labels(view, frame, names, scale)
    _noted(view, f"{position}" if frame.labelled else f"{position} unlabelled")
    return canvas


def _fitted(picture: Picture, cell: int) -> tuple[Picture, Picture, float]:
    """A cell × cell canvas with a picture in its corner, the part that it covers, and its zoom."""
    scale = cell / max(picture.shape[:2])
    height, width = (round(side * scale) for side in picture.shape[:2])
    canvas = np.full((cell, cell, 3), 230, np.uint8)
    canvas[:height, :width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    return canvas, canvas[:height, :width], scale


def _noted(view: Picture, note: str) -> Picture:
    """Write a note into the lower left corner of a picture; returns it."""
    height = len(view)
    long = cv2.getTextSize(note, _FONT, 0.33, 1)[0][0]
    cv2.rectangle(view, (0, height - 14), (long + 6, height - 1), _INK, -1)
    cv2.putText(view, note, (3, height - 4), _FONT, 0.33, _PAPER, 1, cv2.LINE_AA)
    return view


def _draw_labels(view: Picture, frame: Frame, names: tuple[str, ...], scale: float) -> None:
    for region in frame.ignore_regions:
        corners = np.round((region + 0.5) * scale).astype(np.int32)
        tint = view.copy()
        cv2.fillPoly(tint, [corners], _IGNORE)
        cv2.addWeighted(tint, 0.3, view, 0.7, 0, dst=view)
        cv2.polylines(view, [corners], True, _IGNORE, 1, cv2.LINE_AA)
    for person in frame.people:
        _draw_person(view, person, names, scale)


def _draw_person(view: Picture, person: Person, names: tuple[str, ...], scale: float) -> None:
    if not np.isnan(person.box).any():
        x1, y1, x2, y2 = (int(edge) for edge in person.box * scale)
        cv2.rectangle(view, (x1, y1), (x2, y2), _BOX, 1)
        cv2.putText(view, str(person.track_id), (max(x1, 0) + 3, max(y1, 0) + 10), _FONT, 0.33, _BOX, 1, cv2.LINE_AA)
    if person.head_box is not None:
        x1, y1, x2, y2 = (int(edge) for edge in person.head_box * scale)
        cv2.rectangle(view, (x1, y1), (x2, y2), _HEAD, 1)
    draw_skeleton(view, person.joints, person.labelled, names, scale)


def draw_skeleton(
    view: Picture, joints: Array, shown: NDArray[np.bool_], names: tuple[str, ...], scale: float, width: int = 1
) -> None:
    """Draw the shown joints (J, 2), pixels of the frame, and the limbs between them into a frame enlarged by `scale`.

    names: of PoseTrack18's joints or JHMDB's. Orange is the person's left, blue the right; width: of a limb, pixels.
    """
    place = {
        name: (int(x), int(y)) for name, (x, y), here in zip(names, (joints + 0.5) * scale, shown, strict=True) if here
    }
    for first, second in _LIMBS:
        if first in place and second in place:
            cv2.line(view, place[first], place[second], _side(second), width, cv2.LINE_AA)
    for name, centre in place.items():
        cv2.circle(view, centre, width + 1, _side(name), -1, cv2.LINE_AA)


def _side(joint: str) -> tuple[int, int, int]:
    return _LEFT if joint.startswith("left") else _RIGHT if joint.startswith("right") else _MIDDLE
