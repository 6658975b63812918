"""What a partial data set lacks: `MISSING.txt` in its folder names the videos that readers leave out, one a line."""

from pathlib import Path

from dimofs.datasets.records import DatasetError
from dimofs.io import replacing

MISSING = "MISSING.txt"


def write_missing(root: Path, names: list[str]) -> None:
    """Write the names of the missing videos, sorted."""
    with replacing(root / MISSING) as temporary:
        temporary.write_text("".join(f"{name}\n" for name in sorted(names)), encoding="utf-8")


def read_missing(root: Path) -> set[str]:
    """Names of the missing videos; none where the data set has no such file, as a whole one has not.

    Raises DatasetError where it cannot be read.
    """
    path = root / MISSING
    if not path.exists():
        return set()
    try:
        return set(path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read ({error}); unpack the data set again") from error
