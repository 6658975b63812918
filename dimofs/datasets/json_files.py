"""Label files in JSON, read with an error that names the file."""

import json
from pathlib import Path
from typing import TypeVar

from dimofs.datasets.records import DatasetError

Kind = TypeVar("Kind", dict, list)


def read_json(path: Path, kind: type[Kind], remedy: str) -> Kind:
    """Parse a file whose outermost value is an object (kind `dict`) or a list.

    Raises DatasetError naming the file, which ends with `remedy`: what to do about a file that is not that.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: is not complete JSON ({error}); {remedy}") from error
    if not isinstance(content, kind):
        wanted = "a list" if kind is list else "a JSON object"
        raise DatasetError(f"{path}: must be {wanted}, got {content!r:.40}; {remedy}")
    return content
