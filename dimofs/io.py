"""Many files read at once, and writers that never leave a half-written file under its final name."""

import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pandas as pd

_Item = TypeVar("_Item")
_Content = TypeVar("_Content")

#: Files that are read at once.
_READERS = 16


def read_together(read: Callable[[_Item], _Content], items: Iterable[_Item]) -> list[_Content]:
    """Apply `read` to items on several threads; results in order, and the error of the first item that has one.

    A file that memory does not hold any more can take 20 ms, nearly all of which is waiting (docs/decisions.md).
    """
    return list(read_ahead(read, items))


def read_ahead(read: Callable[[_Item], _Content], items: Iterable[_Item]) -> Iterator[_Content]:
    """Give what `read_together` does one after the other, some items ahead of the one that takes them."""
    with ThreadPoolExecutor(_READERS) as pool:
        waiting: deque[Future[_Content]] = deque()
        for item in items:
            waiting.append(pool.submit(read, item))
            if len(waiting) > _READERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` (same suffix) and rename it there when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, floats with six significant digits, so that equal results give equal bytes."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet (zstd)."""
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False, compression="zstd")
