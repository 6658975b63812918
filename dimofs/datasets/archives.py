"""The official archives: what `config/datasets.tsv` says of them, how each is obtained, and how they become a data set.

    data/archives/<file>        what the user put there, or what was downloaded; read, never changed and never removed
    data/datasets/<data set>/   the official layout, unpacked from it

One line of the sheet is one file: `dataset`, `archive` (files that share it are its parts, in the order of the sheet),
`file`, `version`, `holds` (the folder of the official layout that is in it; empty for a file that is taken as it is),
`needed` (yes; or no: unpacked only where the user put it there), `size` (as reported, for people), `checksum` (where
one is published), `urls` (tried in order), `terms`, `by_hand` (how to get it where no link works).
"""

import csv
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pooch
from tqdm import tqdm

from dimofs.config import ConfigError
from dimofs.datasets.records import DatasetError
from dimofs.datasets.unpack import is_web_page, unpack

_CHECKSUM = re.compile(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ROUNDS = 2  # over all urls; a server that says no is asked once
_PAUSE = 2.0  # seconds before the second round
_TIMEOUT = 60.0  # seconds without a byte


@dataclass(frozen=True)
class Archive:
    """One official file: a line of the sheet."""

    dataset: str
    archive: str  #: files that share it are parts of one archive
    file: str
    version: str
    holds: str  #: folder of the official layout; empty: the file is taken as it is
    needed: bool
    size: str  #: as published, for people; may be empty
    checksum: str | None  #: "md5:…" or "sha256:…", None where none is published
    urls: tuple[str, ...]
    terms: str
    by_hand: str


def read_archives(path: Path) -> list[Archive]:
    """Read the sheet.

    Raises ConfigError naming the file, the line and the field.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    archives = [_archive(path, line, row) for line, row in enumerate(rows, start=2)]
    seen: set[tuple[str, str]] = set()
    for line, archive in enumerate(archives, start=2):
        if (archive.dataset, archive.file) in seen:
            raise ConfigError(f"{path}, line {line}: field 'file' repeats {archive.file!r} of {archive.dataset}")
        seen.add((archive.dataset, archive.file))
    return archives


def _archive(path: Path, line: int, row: dict[str, str]) -> Archive:
    def field(name: str, pattern: str = ".+", wanted: str = "a value") -> str:
        value = row.get(name)
        if value is None or not re.fullmatch(pattern, value):
            raise ConfigError(f"{path}, line {line}: field {name!r} must be {wanted}, got {value!r}")
        return value

    if None in row:
        raise ConfigError(f"{path}, line {line}: has more fields than the first line names")
    name = _FILE_NAME.pattern
    plain = "a plain name (letters, digits, '.', '_', '-')"
    return Archive(
        dataset=field("dataset", name, plain),
        archive=field("archive", name, plain),
        file=field("file", name, plain),
        version=field("version", ".*"),
        holds=field("holds", f"({name})?", f"empty or {plain}"),
        needed=field("needed", "yes|no", "yes or no") == "yes",
        size=field("size", ".*"),
        checksum=field("checksum", f"({_CHECKSUM.pattern})?", "empty, md5:<32 digits> or sha256:<64 digits>") or None,
        urls=tuple(field("urls", r"(https?://\S+( https?://\S+)*)?", "http(s) urls separated by spaces").split()),
        terms=field("terms"),
        by_hand=field("by_hand"),
    )


def assemble(dataset: str, archives: Sequence[Archive], folder: Path, root: Path, accept_terms: bool) -> None:
    """Obtain and unpack every archive of a data set into the folder `root`, which appears when all of it is there.

    Args:
        dataset: name in the sheet.
        archives: the sheet.
        folder: `data/archives`, see `obtain`.
        root: the data set in its official layout; must not exist, or be an empty folder, and no link to one.
        accept_terms: whether the user accepts the terms, see `obtain`.

    Raises:
        DatasetError: once for all archives that could not be obtained; for the first that cannot be unpacked; where
            `root` holds files, or is a link.
    """
    if root.is_symlink():
        raise DatasetError(f"{root}: is a link, which cannot be replaced; remove it, or link the folder above it")
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DatasetError(f"{root}: holds files, and none is ever overwritten; move it away and try again")
    wanted: dict[str, list[Archive]] = {}
    for archive in archives:
        if archive.dataset == dataset:
            wanted.setdefault(archive.archive, []).append(archive)
    groups = [
        group
        for group in wanted.values()
        if any(archive.needed or os.path.lexists(folder / archive.file) for archive in group)
    ]
    if not groups:
        raise DatasetError(
            f"{dataset}: the sheet lists no archive of it, only of {', '.join(sorted({a.dataset for a in archives}))}"
        )
    failures = []
    for archive in (archive for group in groups for archive in group):
        try:
            obtain(archive, folder, accept_terms)
        except DatasetError as error:
            failures.append(str(error))
    if failures:
        lines = (line for failure in failures for line in failure.splitlines())
        raise DatasetError("\n".join(dict.fromkeys(lines)))  # terms and advice are the same for all: once is enough

    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{root.name}-") as temporary:
        layout = Path(temporary, root.name)
        layout.mkdir()
        for group in groups:
            files = [folder / archive.file for archive in group]
            if not group[0].holds:
                shutil.copyfile(files[0], layout / files[0].name)
                continue
            unpacked = Path(temporary, f"{group[0].archive}.unpacked")
            unpack(files, unpacked)
            _merge(_official_folder(unpacked, group[0].holds), layout / group[0].holds)
        layout.rename(root)


def missing_archives(dataset: str, archives: Sequence[Archive], folder: Path, accept_terms: bool) -> str:
    """Say what `assemble` would lack, and how to get it; empty where every archive is there or may be downloaded."""
    if accept_terms:
        return ""
    missing = [
        str(
            _unobtained(
                folder / archive.file, archive, ["no download, for the configuration does not accept the terms"]
            )
        )
        for archive in archives
        if archive.dataset == dataset and archive.needed and not os.path.lexists(folder / archive.file)
    ]
    return "\n".join(dict.fromkeys(line for text in missing for line in text.splitlines()))


def _official_folder(unpacked: Path, name: str) -> Path:
    """The shallowest folder of that name, for some archives wrap it; without one, the archive is its content."""
    found = [path for path in unpacked.rglob(name) if path.is_dir()]
    return min(found, key=lambda path: (len(path.parts), path), default=unpacked)


def _merge(source: Path, target: Path) -> None:
    """Move a folder to where a part of it may be already; nothing is overwritten."""
    if not target.exists():
        source.rename(target)
    elif source.is_dir() and target.is_dir():
        for path in sorted(source.iterdir()):
            _merge(path, target / path.name)
    else:
        raise DatasetError(f"{target.name}: is in two archives of the data set; keep one of them in data/archives")


def obtain(archive: Archive, folder: Path, accept_terms: bool) -> Path:
    """Give the path of an archive's file in `folder`: what lies there, or else what can be downloaded.

    A file that lies there is verified where a checksum is published, and otherwise used as it is: it is never changed,
    replaced or removed. A download needs the user's consent to the terms. It gets its final name when it is complete
    and verified; each url is tried, in order, and those that failed for a reason that may pass are tried once more.

    Raises DatasetError that says what to get, where, and where to put it.
    """
    path = folder / archive.file
    if os.path.lexists(path):
        _verify(path, archive)
        return path
    if not accept_terms:
        raise _unobtained(path, archive, ["no download, for the configuration does not accept the terms"])
    folder.mkdir(parents=True, exist_ok=True)
    pooch.get_logger().setLevel("WARNING")  # what it has to say besides, the bar shows
    failures: dict[str, str] = {}
    waiting = archive.urls
    for attempt in range(_ROUNDS):
        if attempt and waiting:
            time.sleep(_PAUSE)
        again = []
        for url in waiting:
            try:
                _download(url, path, archive)
                return path
            except DatasetError as error:
                failures[url] = str(error)
            except OSError as error:  # which the errors of the network are as well
                failures[url] = str(error)
                status = getattr(getattr(error, "response", None), "status_code", 500)
                if status >= 500:
                    again.append(url)
        waiting = tuple(again)
    raise _unobtained(path, archive, [f"{url}: {failure}" for url, failure in failures.items()])


def _download(url: str, path: Path, archive: Archive) -> None:
    """Download to a folder of its own beside `path`, verify, and rename."""
    with (
        tempfile.TemporaryDirectory(dir=path.parent, prefix=".download-") as temporary,
        tqdm(
            total=1, desc=archive.file, unit="B", unit_scale=True
        ) as bar,  # pooch sets the true total, if this is not 0
    ):
        # Without the header some servers unpack a .tar.gz on the way, and its checksum is another one then.
        downloader = pooch.HTTPDownloader(progressbar=bar, timeout=_TIMEOUT, headers={"Accept-Encoding": "identity"})
        try:
            pooch.retrieve(url, archive.checksum, archive.file, temporary, downloader=downloader)
        except ValueError as error:
            if isinstance(error, OSError):  # a malformed url is both to the network library
                raise
            raise DatasetError("what it gave has another checksum than the published one") from error
        downloaded = Path(temporary, archive.file)
        with downloaded.open("rb") as file:
            if archive.checksum is None and is_web_page(file.read(512)):
                raise DatasetError("gave a web page (a login, or an error), not the archive")
        if os.path.lexists(path):
            raise DatasetError(f"{path} appeared during the download and was left as it is")
        downloaded.rename(path)


def _verify(path: Path, archive: Archive) -> None:
    if not path.is_file():
        raise DatasetError(f"{path}: is not a file (a folder, or a link that leads nowhere); put {archive.file} there")
    if archive.checksum is None:
        return
    algorithm, _, published = archive.checksum.partition(":")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != published:
        raise DatasetError(
            f"{path}: its {algorithm} is {found}, but {published} is published for {archive.file}: the file is "
            "incomplete, damaged or another version. It was left as it is; put the official one in its place, or move "
            "it away to have it downloaded"
        )


def _unobtained(path: Path, archive: Archive, failures: Sequence[str]) -> DatasetError:
    about = [archive.version, archive.size, (archive.checksum or "").replace(":", " ")]
    lines = [
        f"{path}: no such file, and it could not be downloaded; get it and put it there",
        f"  it is:   {archive.file} of {archive.dataset} ({', '.join(filter(None, about))})",
        *[f"  from:    {url}" for url in archive.urls],
        *[f"  tried:   {failure}" for failure in failures],
        f"  terms:   {archive.terms}",
        f"  by hand: {archive.by_hand}",
    ]
    return DatasetError("\n".join(lines))
