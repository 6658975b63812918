"""The manifest of a data set: one CSV file beside its folder that stands for all of its files.

`data/datasets/jhmdb.csv` is the manifest of the folder `data/datasets/jhmdb`. A data set is named by its manifest.
"""

import hashlib
from pathlib import Path

import pandas as pd

from dimofs.datasets.records import DatasetError
from dimofs.io import write_csv

#: Columns of a manifest.
COLUMNS = ("path", "bytes", "sha256")


def write_manifest(root: Path, path: Path) -> None:
    """Write path (relative to `root`, with `/`), bytes and sha256 of every file under `root`, sorted by path.

    Equal folders give equal manifests, byte for byte. Raises DatasetError where `root` is no folder or holds no file.
    """
    files = {file.relative_to(root).as_posix(): file for file in root.rglob("*") if file.is_file()}
    if not files:
        raise DatasetError(f"{root}: is no folder with files in it; render or unpack the data set first")
    rows = [(name, files[name].stat().st_size, _sha256(files[name])) for name in sorted(files)]
    write_csv(pd.DataFrame(rows, columns=list(COLUMNS)), path)


def is_manifest(path: Path) -> bool:
    """Tell whether a file begins as `write_manifest` writes it."""
    with path.open("rb") as file:
        return file.readline().strip() == ",".join(COLUMNS).encode()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def dataset_root(manifest: Path) -> Path:
    """Folder of the data set that `manifest` stands for: its path without ".csv".

    Raises DatasetError where the manifest or the folder is missing.
    """
    root = manifest.with_suffix("")
    if not manifest.is_file():
        raise DatasetError(
            f"{manifest}: no such manifest (<data set>.csv); make the data set with `dimofs datasets render`, with "
            "`dimofs datasets unpack` from official archives or with `dimofs label` from a video, which write it last"
        )
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder, but {manifest} is its manifest; make the data set again")
    return root
