"""Folders that appear when all of their files are there, and replace only what was made in the same way."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dimofs.datasets.records import DatasetError


@contextmanager
def replacing_folder(root: Path, marker: str, about: str) -> Iterator[Path]:
    """Give an empty folder beside `root`, which takes its place when the block ends without an error.

    The file `marker` with the text `about` is put into it, and marks it as one that may be replaced.

    Raises DatasetError where `root` is a link, or holds something without such a file.
    """
    if root.is_symlink():
        raise DatasetError(f"{root}: is a link, which cannot be replaced; give the folder itself, {root.resolve()}")
    if root.exists() and not (root / marker).is_file() and (not root.is_dir() or any(root.iterdir())):
        raise DatasetError(f"{root}: holds files that were not made here (no {marker}); move it away and try again")
    root.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=root.parent, prefix=f".{root.name}-"))
    try:
        yield folder
        (folder / marker).write_text(about, encoding="utf-8")
        folder.chmod(0o755)
        if root.exists():
            shutil.rmtree(root)
        folder.rename(root)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
