"""Unpacking of archives that others made: nothing leaves the folder, nothing fills the disk, nothing is half there.

The type is told by the first bytes, never by the name: tar (plain, gzip, bzip2, xz) and zip. Files and folders are all
that is unpacked; links and devices are refused, wherever they lead. An archive may come in parts: one archive cut in
pieces, or several tars one after the other.
"""

import bz2
import errno
import gzip
import io
import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO, Never, Protocol, cast

from tqdm import tqdm

from dimofs.datasets.records import DatasetError

#: Bounds of one archive: files and folders, levels of folders, and bytes: a floor or, if larger, a multiple of its own.
_MOST_ENTRIES = 1_000_000
_DEEPEST = 32
_BYTES_ALWAYS_ALLOWED = 2**30
_LARGEST_RATIO = 100
#: A header that only extends the next one (a long name) is read into memory whole.
_LONGEST_EXTENSION = 2**20
_EXTENSIONS = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip
_CHUNK = 2**20
#: Those that zipfile unpacks bit by bit; of the others it makes as much as a megabyte holds before anybody can count.
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def unpack(parts: Sequence[Path], folder: Path) -> None:
    """Unpack an archive, given as its parts in order, into `folder`, which appears when all of it is there.

    The parts are only read. Raises DatasetError, and leaves nothing behind, where `folder` exists, where the archive is
    damaged, cut off or of a type that cannot be opened, and where it holds what no data set needs: a path that leads
    out of the folder, a link, a device, a sparse file, a file twice, or more files or bytes than the bounds allow.
    """
    if folder.exists():
        raise DatasetError(f"{folder}: is there already; move it away and try again")
    size = sum(part.stat().st_size for part in parts)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        with (
            io.BufferedReader(_Joined(parts)) as stream,
            tqdm(desc=f"unpack {parts[0].name}", unit="file") as bar,
        ):
            target = _Target(parts[0], temporary, max(_BYTES_ALWAYS_ALLOWED, _LARGEST_RATIO * size), bar)
            try:
                _unpack(parts, stream, target)
            except DatasetError:
                raise
            except Exception as error:  # damage shows in a dozen unrelated types of error
                if isinstance(error, OSError) and error.errno is not None:
                    raise  # the disk's, not the archive's
                raise DatasetError(
                    f"{parts[0]}: the archive is damaged or cut off ({error}); move it away and get it again"
                ) from error
        temporary.chmod(0o755)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _Joined(io.RawIOBase):
    """The parts of an archive as one stream of bytes."""

    def __init__(self, parts: Sequence[Path]) -> None:
        self._waiting = list(parts)
        self._open: BinaryIO | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while self._open or self._waiting:
            if self._open is None:
                self._open = self._waiting.pop(0).open("rb")
            count = cast(io.BufferedReader, self._open).readinto(buffer)
            if count:
                return count
            self._open.close()
            self._open = None
        return 0

    def close(self) -> None:
        if self._open:
            self._open.close()
        super().close()


class _Target:
    """The folder that takes the files of one archive, within the bounds."""

    def __init__(self, archive: Path, folder: Path, most_bytes: int, bar: "tqdm[Never]") -> None:
        self.archive = archive
        self._folder = folder
        self._most_bytes = most_bytes
        self._bar = bar
        self._files = 0
        self._folders = {PurePosixPath()}  # and the one that takes them, which does not count
        self._bytes = 0

    def bounded(self, stream: _Readable) -> "_Bounded":
        """A stream that counts what is read from it, unpacked: what is never written can be endless too."""
        return _Bounded(self, stream, self._most_bytes)

    def add_folder(self, name: str) -> None:
        path = self._relative(name)
        self._count(name, (path, *path.parents), 0)
        with self._placing(name):
            (self._folder / path).mkdir(parents=True, exist_ok=True)

    def add_file(self, name: str, stream: _Readable) -> None:
        path = self._relative(name)
        self._count(name, path.parents, 1)
        with self._placing(name):
            (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
            with (self._folder / path).open("xb") as file:
                while chunk := stream.read(_CHUNK):
                    self._bytes += len(chunk)
                    if self._bytes > self._most_bytes:
                        raise self.too_large()
                    file.write(chunk)
        self._bar.update()

    @contextmanager
    def _placing(self, name: str) -> Iterator[None]:
        """Blame the entry, not the disk, where its name is what the file system will not take."""
        try:
            yield
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise self.refused(name, "is there twice") from None
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise self.refused(name, "has a longer name than this file system takes") from None

    def refused(self, name: str, why: str) -> DatasetError:
        return DatasetError(
            f"{self.archive}: refused, for its entry {name!r} {why}; nothing was unpacked. Get the archive from the "
            "official place; if this is the official one, unpack it by hand where that can do no harm"
        )

    def too_large(self) -> DatasetError:
        return DatasetError(
            f"{self.archive}: refused, for it unpacks to more than {self._most_bytes / 1e9:.1f} GB, {_LARGEST_RATIO} "
            "times its own size; nothing was unpacked. Get the archive from the official place"
        )

    def _count(self, name: str, folders: Sequence[PurePosixPath], files: int) -> None:
        """Count a file or a folder with the folders around it, whether or not the archive lists these."""
        self._files += files
        self._folders.update(folders)
        if self._files + len(self._folders) - 1 > _MOST_ENTRIES:
            raise self.refused(name, f"is beyond the bound of {_MOST_ENTRIES} files and folders")

    def _relative(self, name: str) -> PurePosixPath:
        """Where an entry goes in the folder. No links are ever made, so a path without `..` stays inside."""
        path, foreign = PurePosixPath(name), PureWindowsPath(name)
        if path.is_absolute() or foreign.drive or foreign.root:
            raise self.refused(name, "is an absolute path")
        if ".." in path.parts or ".." in foreign.parts:
            raise self.refused(name, "leads out of the folder")
        if len(path.parts) > _DEEPEST:
            raise self.refused(name, f"is nested more than {_DEEPEST} folders deep")
        try:
            name.encode()
        except UnicodeEncodeError:
            raise self.refused(name, "has a name that is not UTF-8") from None
        return path


class _Bounded:
    def __init__(self, target: _Target, stream: _Readable, most_bytes: int) -> None:
        self._target = target
        self._stream = stream
        self._left = most_bytes

    def read(self, size: int) -> bytes:
        chunk = self._stream.read(size)
        self._left -= len(chunk)
        if self._left < 0:
            raise self._target.too_large()
        return chunk


def _unpack(parts: Sequence[Path], stream: "io.BufferedReader[_Joined]", target: _Target) -> None:
    with io.BufferedReader(_Joined(parts)) as beginning:
        start = beginning.read(tarfile.BLOCKSIZE)
    if start.startswith(b"PK"):
        if len(parts) > 1:
            raise DatasetError(f"{parts[0]}: is a zip in {len(parts)} parts; join them to one file first")
        _unpack_zip(parts[0], target)
    elif start.startswith(b"\x1f\x8b"):
        with gzip.open(stream) as unzipped:
            _unpack_tar(unzipped, target)
    elif start.startswith(b"BZh"):
        with bz2.open(stream) as unzipped:
            _unpack_tar(unzipped, target)
    elif start.startswith(b"\xfd7zXZ"):
        with lzma.open(stream) as unzipped:
            _unpack_tar(unzipped, target)
    elif _is_tar(start):
        _unpack_tar(stream, target)
    elif is_web_page(start):
        raise DatasetError(
            f"{parts[0]}: is a web page, not an archive: a login or an error page was saved under this name; open it "
            "to see which, and get the archive itself"
        )
    else:
        raise DatasetError(
            f"{parts[0]}: is neither a tar (plain, gzip, bzip2 or xz) nor a zip. If it is of another type (.rar, .7z), "
            "unpack it with 7-Zip or unrar and pack the files as tar under this name; otherwise get it again"
        )


def is_web_page(start: bytes) -> bool:
    """Whether a file begins like HTML: what servers send in place of an archive that they do not give."""
    return start.lstrip().lower().startswith((b"<!doctype html", b"<html"))


class _Header(tarfile.TarInfo):
    """A header of a tar. By itself the library takes a damaged one for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        if len(buf) not in (0, tarfile.BLOCKSIZE):
            raise tarfile.ReadError("it ends within a header")
        if buf.count(0) < len(buf):
            try:
                header = super().frombuf(buf, encoding, errors)
            except tarfile.HeaderError as error:
                raise tarfile.ReadError(str(error)) from error
            if header.size < 0 or (header.type in _EXTENSIONS and header.size > _LONGEST_EXTENSION):
                raise tarfile.ReadError(f"a header of {header.size} bytes")
            return header
        return super().frombuf(buf, encoding, errors)

    def _no_sparse_file(self, *_: object) -> Never:
        raise tarfile.ReadError(f"{self.name} is a sparse file, which no data set needs")

    # Where the library would read the map of a sparse file, millions of numbers, into memory.
    _proc_sparse = _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _no_sparse_file


def _is_tar(start: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _unpack_tar(stream: _Readable, target: _Target) -> None:
    bounded = cast(BinaryIO, target.bounded(stream))
    # Zeros end a tar, but where several follow each other (PoseTrack) the next one begins after them.
    with tarfile.open(fileobj=bounded, mode="r|", tarinfo=_Header, ignore_zeros=True) as tar:
        end = 0
        while (member := tar.next()) is not None:
            end = tar.offset
            tar.members.clear()  # type: ignore[attr-defined]  # else every header stays in memory
            if member.isdir():
                target.add_folder(member.name)
            elif member.isfile():
                target.add_file(member.name, cast(_Readable, tar.extractfile(member)))
            else:
                link = member.issym() or member.islnk()
                kind = f"a link to {member.linkname!r}" if link else f"of type {member.type!r}"
                raise target.refused(member.name, f"is {kind}, neither file nor folder")
        if tar.offset == end:
            raise tarfile.ReadError("its end is missing")


def _unpack_zip(path: Path, target: _Target) -> None:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise target.refused(entry.filename, "is a link or a device, neither file nor folder")
            if entry.flag_bits & 1:
                raise target.refused(entry.filename, "is encrypted: unpack it by hand with its password")
            if entry.compress_type not in _ZIP_METHODS:
                raise target.refused(entry.filename, f"uses compression method {entry.compress_type}, unknown here")
            if entry.is_dir():
                target.add_folder(entry.filename)
            else:
                with archive.open(entry) as stream:
                    target.add_file(entry.filename, stream)
