"""Outputs that nothing proves to be what the workflow would make.

Snakemake records, for every output, what made it: parameters, code, inputs. It never checks that the file on disk is
still the one it wrote. After a `git clone` and `dvc pull` there is no record; after `git checkout` and `dvc checkout`
there may be the record of another commit. In both cases Snakemake would take a file made with old parameters for an
up-to-date one, and `dvc repro` would then lock the new parameters together with the old file.

A record holds the file's modification time, so it is easy to tell: a file that has no record, or has changed since, is
of unknown origin. Such files are marked as incomplete here, which is what Snakemake calls an output not to be trusted:
it makes them again when they are needed. `workflow/restore.py` gives a record to those that DVC can vouch for.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from snakemake.persistence.file import FilePersistence

#: seconds; clocks and archives round modification times, and no file is replaced so soon after its job
TOLERANCE = 1e-3


def distrust(outputs: Iterable[str]) -> list[str]:
    """Mark every file of unknown origin among `outputs` (paths with wildcards) as incomplete and give their names.

    Paths are relative to the working directory. Files that a running Snakemake is about to write are left alone.
    """
    records = FilePersistence(nolock=True)
    busy = {name for kind, name in records._read_locks() if kind == "output"}
    unknown = [name for name in _existing(outputs) if name not in busy and not _is_ours(records, name)]
    for name in set(unknown) - records._filter_incomplete_keys(unknown):
        records._mark_incomplete(name, None)
    return unknown


def _existing(outputs: Iterable[str]) -> Iterator[str]:
    for output in outputs:
        yield from sorted(str(path) for path in Path().glob(re.sub(r"(\{[^}]+\})+", "*", output)) if path.is_file())


def _is_ours(records: FilePersistence, name: str) -> bool:
    record = records._read_record(name)
    if record is None or record.endtime is None:
        return False
    return abs(Path(name).lstat().st_mtime - record.endtime) < TOLERANCE
