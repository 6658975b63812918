"""Reader of the corpus of actions: labelled videos of one action each, to pre-train networks over clips on.

    videos/<class>/<clip>.avi
    labels.json                 a list of {"video": "<class>/<clip>", "label", "frames"}

Its classes are JHMDB's, its clips and scenes are not: what Kinetics and Sports1M are to the paper.
"""

from dataclasses import dataclass
from pathlib import Path

from dimofs.datasets.json_files import read_json
from dimofs.datasets.records import JHMDB_CLASSES, DatasetError

_RENDER = "render the corpus again"


@dataclass(frozen=True)
class Action:
    """One labelled video."""

    name: str  #: "<class>/<clip>"
    path: Path
    label: int  #: index in JHMDB_CLASSES
    frames: int


def read_corpus(root: Path) -> list[Action]:
    """Read the list of videos, in the order of the file.

    Raises DatasetError naming file and entry, or the video that is not there.
    """
    path = root / "labels.json"
    actions = []
    for index, entry in enumerate(read_json(path, list, _RENDER)):
        match entry:
            case {"video": str(name), "label": int(label), "frames": int(frames)} if (
                0 <= label < len(JHMDB_CLASSES) and frames > 0
            ):
                action = Action(name, root / "videos" / f"{name}.avi", label, frames)
            case _:
                raise DatasetError(
                    f"{path}: [{index}] must give video, label (0 to 20) and frames, got {entry!r:.80}; {_RENDER}"
                )
        if not action.path.is_file():
            raise DatasetError(f"{action.path}: no such video, but {path} lists it; {_RENDER}")
        actions.append(action)
    return actions
