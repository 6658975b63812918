"""Whether an unpacked data set is whole: what is there, counted, beside the official numbers."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from dimofs.datasets.diving48 import read_labels
from dimofs.datasets.jhmdb import read_split
from dimofs.datasets.missing import write_missing
from dimofs.datasets.posetrack import label_folders
from dimofs.datasets.posetrack17 import image_folder, label_files
from dimofs.datasets.records import DatasetError

#: Official numbers of (train, test) clips of the three splits of JHMDB, each of all 928 clips.
JHMDB_SPLITS = {1: (660, 268), 2: (658, 270), 3: (663, 265)}
#: Official numbers of (train, test) dives of the two versions of the labels.
DIVING48_VERSIONS = {"V1": (15_943, 2_096), "V2": (15_027, 1_970)}
#: Official numbers of sequences of PoseTrack17. The labels of its 208 test sequences were never published.
POSETRACK17_SPLITS = {"train": 292, "val": 50}

_NAMED = 5  # missing videos that a line names


@dataclass(frozen=True)
class Account:
    """What was counted, for people to read, and which videos are missing."""

    lines: tuple[str, ...]  #: one for each number: "jhmdb, split 1: 660 train and 268 test clips, as published"
    missing: tuple[str, ...]  #: names of the listed videos of which a file is not there
    whole: bool  #: every number is the official one and no video is missing


def check_counts(root: Path, dataset: str, partial: bool) -> Account:
    """Count what is in an unpacked data set against the official numbers.

    Args:
        root: folder in the official layout.
        dataset: "posetrack17", "posetrack18" (whose official numbers are not known here: only whether every labelled
            sequence has images is checked), "jhmdb", "diving48_v1" or "diving48_v2".
        partial: whether a data set with gaps may be used: then the videos that are missing are written to
            `MISSING.txt` in `root`, for the readers to leave out. PoseTrack17 without the images of its test
            sequences, which nothing is learned from or judged on, has no gap; they are written there as well.

    Raises DatasetError with the whole account where there are gaps and `partial` is false, or where labels cannot be
    read at all.
    """
    if dataset not in _COUNTS:
        raise DatasetError(f"{dataset}: no such data set; there are {', '.join(_COUNTS)}")
    account = _COUNTS[dataset](root)
    if not account.whole and not partial:
        raise DatasetError(
            "\n".join(
                [
                    f"{root}: is not the whole of {dataset}",
                    *[f"  {line}" for line in account.lines],
                    f"  Complete the archives, or accept a partial data set in the configuration; then remove {root} "
                    "and unpack again",
                ]
            )
        )
    if account.missing:
        write_missing(root, list(account.missing))
    return account


def _jhmdb(root: Path) -> Account:
    clips: set[str] = set()
    lines, whole = [], True
    for split, official in JHMDB_SPLITS.items():
        parts = read_split(root / "splits", split)
        clips |= parts.keys()
        found = Counter(parts.values())
        whole &= (found["train"], found["test"]) == official
        lines.append(
            _line(f"jhmdb, split {split}", (found["train"], found["test"]), ("train clips", "test clips"), official)
        )
    files = ("puppet_mask/{}/puppet_mask.mat", "joint_positions/{}/joint_positions.mat")
    missing = [
        name
        for name in clips
        if not _is_filled(root / "Rename_Images" / name)
        or not all((root / file.format(name)).exists() for file in files)
    ]
    return _with_missing(lines, whole, "jhmdb", len(clips), missing, "clips with images, mask and joints")


def _diving48(root: Path, version: Literal["V1", "V2"]) -> Account:
    dives = read_labels(root, version)
    found = Counter(dive.split for dive in dives)
    counts, official = (found["train"], found["test"]), DIVING48_VERSIONS[version]
    line = _line(f"diving48 {version}", counts, ("train dives", "test dives"), official)
    missing = [dive.name for dive in dives if not dive.path.is_file()]
    return _with_missing([line], counts == official, f"diving48 {version}", len(dives), missing, "dives with a video")


def _posetrack17(root: Path) -> Account:
    names: dict[str, list[str]] = {}
    missing: dict[str, list[str]] = {}
    for folder in label_folders(root):
        paths = label_files(folder)
        names[folder.name] = [f"{folder.name}/{path.stem}" for path in paths]
        missing[folder.name] = [
            f"{folder.name}/{path.stem}" for path in paths if not _is_filled(image_folder(path, root))
        ]
    found, official = tuple(len(names.get(split, [])) for split in POSETRACK17_SPLITS), POSETRACK17_SPLITS.values()
    line = _line("posetrack17", found, ("train sequences", "val sequences"), tuple(official))
    needed = [name for split in POSETRACK17_SPLITS for name in missing.get(split, [])]
    account = _with_missing(
        [line], found == tuple(official), "posetrack17", sum(found), needed, "labelled sequences with images"
    )
    unneeded = sorted(missing.get("test", []))  # nothing can be learned from them or judged on them
    return replace(account, missing=(*account.missing, *unneeded))


def _posetrack18(root: Path) -> Account:
    labels = sorted((root / "annotations").glob("*/[!.]*.json"))
    if not labels:
        raise DatasetError(f"{root / 'annotations'}: holds no label file; unpack the labels again")
    names = [f"{path.parent.name}/{path.stem}" for path in labels]
    missing = [name for name in names if not _is_filled(root / "images" / name)]
    lines = [f"posetrack18: {len(names)} sequences with labels (no official number is known here)"]
    return _with_missing(lines, True, "posetrack18", len(names), missing, "labelled sequences with images")


_COUNTS: dict[str, Callable[[Path], Account]] = {
    "posetrack17": _posetrack17,
    "posetrack18": _posetrack18,
    "jhmdb": _jhmdb,
    "diving48_v1": lambda root: _diving48(root, "V1"),
    "diving48_v2": lambda root: _diving48(root, "V2"),
}


def _is_filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _line(name: str, found: tuple[int, ...], kinds: tuple[str, ...], official: tuple[int, ...]) -> str:
    counted = " and ".join(f"{count} {kind}" for count, kind in zip(found, kinds, strict=True))
    judged = "as published" if found == official else f"published are {' and '.join(map(str, official))}"
    return f"{name}: {counted}, {judged}"


def _with_missing(lines: list[str], whole: bool, name: str, listed: int, missing: list[str], kind: str) -> Account:
    missing = sorted(missing)
    line = f"{name}: {listed - len(missing)} of {listed} {kind}"
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        line += f"; missing: {', '.join(missing[:_NAMED])}{more}"
    return Account((*lines, line), tuple(missing), whole and not missing)
