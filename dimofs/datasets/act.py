"""Reader of ACT-detector's ground truth of JHMDB, `JHMDB-GT.pkl`: the boxes that published frame-mAPs are judged by.

A pickle of someone else can run any code when it is opened. This one needs numpy arrays, dicts, lists, strings and
numbers, so nothing else is let in: all that it may call stands in this module.

    labels                    the 21 classes, alphabetical
    train_videos, test_videos for each split a list of "<class>/<clip>"
    nframes[clip]             number of frames
    resolution[clip]          height and width
    gttubes[clip][label]      list of one array (n, 5): frame, counted from 1; x1, y1, x2, y2 in inclusive pixels from 0
"""

import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dimofs.datasets.records import JHMDB_CLASSES, Array, DatasetError

_GET = "get the official file again"
_LONGEST = 10_000  # frames; the longest clip of JHMDB has 40


@dataclass(frozen=True)
class ActClip:
    """What ACT says of one clip."""

    name: str  #: "<class>/<clip>"
    split: str  #: "train" or "test"
    label: int
    size: tuple[int, int]  #: height, width
    boxes: Array  #: (T, 4) float32, x1 y1 x2 y2 with continuous edges as everywhere here; NaN where a frame has none


def read_act_ground_truth(path: Path, split: int) -> list[ActClip]:
    """Read the clips of the official split 1, 2 or 3, sorted by name.

    A copy that holds a single split (mmaction2's) gives that one as split 1. Raises DatasetError naming file and field,
    and for a pickle that asks for anything but arrays, containers, strings and numbers.
    """
    content = _load(path)
    labels = list(_field(content, "labels", list, path))
    if labels != list(JHMDB_CLASSES):
        raise DatasetError(f"{path}: labels must be the 21 classes of JHMDB in alphabetical order; {_GET}")
    tubes = _field(content, "gttubes", dict, path)
    lengths, sizes = _field(content, "nframes", dict, path), _field(content, "resolution", dict, path)
    clips = []
    for part in ("train", "test"):
        lists = _field(content, f"{part}_videos", list, path)
        if not 1 <= split <= len(lists):
            raise DatasetError(f"{path}: {part}_videos has the splits 1 to {len(lists)}, got {split}")
        names = lists[split - 1]
        if not isinstance(names, list):
            raise DatasetError(f"{path}: {part}_videos[{split - 1}] must be a list, got {names!r:.40}; {_GET}")
        for name in names:
            try:
                clips.append(_clip(name, part, tubes[name], lengths[name], sizes[name]))
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                raise DatasetError(
                    f"{path}: gttubes, nframes or resolution of {name!r:.100} is missing or malformed ({error}); {_GET}"
                ) from error
    return sorted(clips, key=lambda clip: clip.name)


def _clip(name: str, part: str, tubes: "dict[int, list[_Array]]", length: int, size: tuple[int, int]) -> ActClip:
    ((label, (tube,)),) = tubes.items()  # JHMDB has one action and one actor a clip
    rows = tube.values.astype(np.float64)
    height, width = size
    if rows.ndim != 2 or rows.shape[1] != 5 or not len(rows) or not np.isfinite(rows).all():
        raise ValueError("a tube must be (n, 5) finite numbers")
    if not 0 < length <= _LONGEST:
        raise ValueError(f"a clip must have 1 to {_LONGEST} frames")
    numbers = rows[:, 0]
    if numbers.min() < 1 or numbers.max() > length or (numbers % 1).any() or len(set(numbers)) < len(rows):
        raise ValueError("the frames of a tube must be from 1 to nframes, each once")
    if not 0 <= label < len(JHMDB_CLASSES) or JHMDB_CLASSES[label] != name.partition("/")[0]:
        raise ValueError("a tube must have the class of its clip")
    boxes = np.full((length, 4), np.nan, np.float32)
    boxes[numbers.astype(int) - 1] = rows[:, 1:] + (0, 0, 1, 1)  # inclusive pixels to edges
    return ActClip(name, part, int(label), (int(height), int(width)), boxes)


def _field(content: dict[str, Any], name: str, kind: type, path: Path) -> Any:
    value = content.get(name)
    if not isinstance(value, kind):
        raise DatasetError(f"{path}: the field {name} must be a {kind.__name__}, got {value!r:.40}; {_GET}")
    return value


def _load(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = _Unpickler(file, encoding="latin1").load()  # written by Python 2
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); {_GET}") from error
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error
    except Exception as error:  # a damaged pickle fails in a dozen unrelated types of error
        raise DatasetError(f"{path}: is not a complete pickle ({error}); {_GET}") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path}: must be a dict, got {type(content).__name__}; {_GET}")
    return content


class _Unpickler(pickle.Unpickler):
    """An unpickler that gives a pickle nothing to call but what stands below."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        allowed = _ALLOWED.get((module.replace("numpy._core", "numpy.core"), name))
        if allowed is None:
            raise DatasetError(
                f"refused, for it asks for {module}.{name}, which no ground truth needs; nothing was run"
            )
        return allowed


class _Type:
    """A type of numbers, rebuilt here because numpy's own would believe anything that a pickle says of it."""

    def __init__(self, code: str, *_: object) -> None:
        if not re.fullmatch("[biuf][1248]", code):
            raise DatasetError(f"refused, for it holds an array of {code!r:.20}, not of numbers")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """An array, rebuilt here for the same reason."""

    def __init__(self, *_: object) -> None:
        self.values: np.ndarray = np.empty(0)

    def __setstate__(self, state: tuple[int, tuple[int, ...], _Type, bool, str | bytes]) -> None:
        _, shape, kind, columns_first, data = state
        self.values = np.frombuffer(_bytes(data), kind.dtype).reshape(shape, order="F" if columns_first else "C")


def _number(kind: _Type, data: str | bytes) -> float:
    return np.frombuffer(_bytes(data), kind.dtype, count=1)[0].item()


def _bytes(data: str | bytes, _encoding: str = "latin1") -> bytes:
    return data.encode("latin1") if isinstance(data, str) else data


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _number,
    ("numpy", "ndarray"): _Array,  # what _reconstruct is told to make
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _bytes,
}
