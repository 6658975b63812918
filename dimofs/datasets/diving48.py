"""Reader of the Diving48 layout: one mp4 file a dive, 48 classes, two versions of the labels.

    rgb/<video id>_<5 digits>.mp4           the id may begin with "-" or "_"
    Diving48_{train,test}.json              V1, the paper's (15,943 and 2,096 dives)
    Diving48_V2_{train,test}.json           V2, corrected (15,027 and 1,970): another benchmark, not a better V1
    Diving48_vocab.json                     48 × [take-off, somersaults, twists, position]; the position is the label

A label file is a list of {"vid_name", "label", "end_frame"}, and "start_frame" 0 in V2. Only `decode` opens
videos.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from numpy.typing import NDArray

from dimofs.datasets.json_files import read_json
from dimofs.datasets.missing import read_missing
from dimofs.datasets.records import DatasetError, Frame, Video

_FILES = {"V1": "Diving48_{split}.json", "V2": "Diving48_V2_{split}.json"}
_CLASSES = 48
_ATTRIBUTES = 4
_UNPACK = "get the official file again"


@dataclass(frozen=True)
class Dive:
    """One labelled video."""

    name: str  #: <video id>_<5 digits>
    split: str  #: "train" or "test"
    path: Path  #: the mp4 file; never begins with "-", whatever the name does
    label: int  #: 0 to 47, an index of the vocabulary
    frames: int  #: number of frames that the labels give


def read_diving48(root: Path, version: Literal["V1", "V2"]) -> list[Dive]:
    """Read both splits of a version, train first, each in the order of its file, but for what `MISSING.txt` names.

    Raises DatasetError naming file, entry and field, or the video that is not there.
    """
    missing = read_missing(root)
    dives = [dive for dive in read_labels(root, version) if dive.name not in missing]
    for dive in dives:
        if not dive.path.is_file():
            raise DatasetError(
                f"{dive.path}: no such video, but {_FILES[version].format(split=dive.split)} lists it; "
                "unpack Diving48_rgb.tar.gz again"
            )
    return dives


def read_labels(root: Path, version: Literal["V1", "V2"]) -> list[Dive]:
    """Read the label files of a version, whether the videos are there or not.

    Raises DatasetError naming file, entry and field, also for a video that is listed twice.
    """
    if version not in _FILES:
        raise DatasetError(f"{root}: Diving48 has the versions V1 and V2, got {version!r}; correct the configuration")
    folder = root.resolve() / "rgb"
    dives = [dive for split in ("train", "test") for dive in _read_split(root, folder, version, split)]
    seen: set[str] = set()
    for dive in dives:
        if dive.name in seen:
            path = root / _FILES[version].format(split=dive.split)
            raise DatasetError(f"{path}: vid_name {dive.name} is listed twice in {version}; {_UNPACK}")
        seen.add(dive.name)
    return dives


def read_frames(dive: Dive) -> Iterator[NDArray[np.uint8]]:
    """Decode the frames of a dive one after the other, each (H, W, 3) uint8 RGB.

    Raises DatasetError where the file is no video, or ends before the last frame that the labels give.
    """
    return decode(dive.path, dive.frames)


def decode(path: Path, frames: int, chosen: Collection[int] | None = None) -> Iterator[NDArray[np.uint8]]:
    """Decode the first `frames` frames of a video, each (H, W, 3) uint8 RGB. Raises DatasetError as `read_frames`.

    chosen: positions of the only frames to give, in the order of the video. Others are not converted to RGB, which
    takes twice as long as decoding them, and nothing behind the last one is decoded.
    """
    decoded, last = 0, frames if chosen is None else 1 + max(chosen)
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1  # frames come in order and memory stays small
            for frame in container.decode(stream):
                decoded += 1
                if chosen is None or decoded - 1 in chosen:
                    picture: NDArray[Any] = frame.to_ndarray(format="rgb24")
                    yield picture
                if decoded == last:
                    return
    except (av.FFmpegError, IndexError, OSError) as error:
        raise DatasetError(f"{path}: cannot be decoded ({error}); {_UNPACK}") from error
    raise DatasetError(f"{path}: holds {decoded} frames, but the labels give {frames}; {_UNPACK}")


def as_video(dive: Dive) -> Video:
    """A dive as a record of frames, for the index of pairs: every frame counts, and all are in the one file."""
    frame = Frame(dive.path, labelled=True, people=(), ignore_regions=())
    return Video(dive.name, dive.split, (), (frame,) * dive.frames, dive.label)


def _read_split(root: Path, folder: Path, version: str, split: str) -> Iterator[Dive]:
    path = root / _FILES[version].format(split=split)
    for index, entry in enumerate(read_json(path, list, _UNPACK)):
        where = f"{path}: [{index}]"
        if not isinstance(entry, dict):
            raise DatasetError(f"{where} must be an object with vid_name, label and end_frame; {_UNPACK}")
        name = entry.get("vid_name")
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise DatasetError(f"{where}.vid_name must be letters, digits, '_' and '-', got {name!r:.60}; {_UNPACK}")
        label = _whole_number(entry, "label", where, largest=_CLASSES - 1)
        if "start_frame" in entry:
            _whole_number(entry, "start_frame", where, largest=0)
        last = _whole_number(entry, "end_frame", where, largest=10**6)  # inclusive, in all 16,997 entries of V2
        yield Dive(name, split, folder / f"{name}.mp4", label, last + 1)


def _whole_number(entry: dict[str, object], field: str, where: str, largest: int) -> int:
    value = entry.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= largest:
        raise DatasetError(f"{where}.{field} must be a whole number from 0 to {largest}, got {value!r:.40}; {_UNPACK}")
    return value


def read_vocabulary(root: Path) -> tuple[tuple[str, str, str, str], ...]:
    """The 48 classes as (take-off, somersaults, twists, position), in the order of the labels.

    Raises DatasetError naming file and entry.
    """
    path = root / "Diving48_vocab.json"
    classes = []
    for index, entry in enumerate(read_json(path, list, _UNPACK)):
        if not isinstance(entry, list) or len(entry) != _ATTRIBUTES or not all(isinstance(word, str) for word in entry):
            raise DatasetError(f"{path}: [{index}] must be a list of 4 words, got {entry!r:.60}; {_UNPACK}")
        takeoff, somersaults, twists, position = entry
        classes.append((takeoff, somersaults, twists, position))
    if len(classes) != _CLASSES or len(set(classes)) != _CLASSES:
        raise DatasetError(f"{path}: must list 48 different classes, got {len(set(classes))}; {_UNPACK}")
    return tuple(classes)
