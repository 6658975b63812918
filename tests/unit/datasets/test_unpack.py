"""Unpacking: what goes in comes out, and nothing hostile or damaged does any harm."""

import gzip
import io
import random
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dimofs.datasets import unpack as module
from dimofs.datasets.records import DatasetError
from dimofs.datasets.unpack import unpack

FILES = {
    "splits/catch_test_split1.txt": b"a.avi 1\n",
    "images/-mm_(1)!@+/00001.png": bytes(range(256)) * 40,
    "images/empty": b"",
    "long/" + "n" * 150 + "/file": b"long name",
}
Entry = tuple[tarfile.TarInfo, bytes]


def tar_entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content)
    return info, content


def tar_bytes(entries: list[Entry], mode: str = "w:", form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=form) as tar:  # type: ignore[call-overload]
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zip_bytes(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unpacked(tmp_path: Path, *contents: bytes) -> dict[str, bytes]:
    """Unpack an archive of these parts; checks that the parts are as they were and that nothing else was left."""
    parts = [tmp_path / f"archive.part{number}" for number in range(len(contents))]
    for part, content in zip(parts, contents, strict=True):
        part.write_bytes(content)
    target = tmp_path / "inside" / "target"
    try:
        unpack(parts, target)
        return files_in(target)
    finally:
        assert [part.read_bytes() for part in parts] == list(contents)
        assert {path.name for path in tmp_path.iterdir()} <= {"inside", *(part.name for part in parts)}
        assert [path for path in (tmp_path / "inside").iterdir() if path != target] == []


ENTRIES = [tar_entry("./", kind=tarfile.DIRTYPE), *(tar_entry(name, content) for name, content in FILES.items())]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_comes_out_as_it_went_in(tmp_path: Path, mode: str, form: int) -> None:
    assert unpacked(tmp_path, tar_bytes(ENTRIES, mode, form)) == FILES


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_comes_out_as_it_went_in(tmp_path: Path, method: int) -> None:
    assert unpacked(tmp_path, zip_bytes({"folder/": b"", **FILES}, method)) == FILES
    assert (tmp_path / "inside/target/folder").is_dir()


@given(st.lists(st.integers(0, 10240 * 2), max_size=6))
@settings(max_examples=20)
def test_parts_are_one_archive_wherever_it_was_cut(cuts: list[int]) -> None:
    whole = tar_bytes(ENTRIES)
    bounds = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [whole[start:end] for start, end in pairwise(bounds)]
    with tempfile.TemporaryDirectory() as folder:
        assert unpacked(Path(folder), *pieces) == FILES


def test_parts_that_are_tars_themselves_follow_each_other(tmp_path: Path) -> None:
    tars = [tar_bytes([tar_entry(name, content)]) for name, content in FILES.items()]
    assert unpacked(tmp_path, *tars) == FILES


@given(
    st.dictionaries(
        st.from_regex(r"[a-c]{1,2}(/[d-f]{1,2}){0,2}\.x", fullmatch=True), st.binary(max_size=2000), min_size=1
    )
)
@settings(max_examples=20)
def test_any_files_come_back_from_tar_and_zip(files: dict[str, bytes]) -> None:
    for content in (tar_bytes([tar_entry(*file) for file in files.items()], "w:gz"), zip_bytes(files)):
        with tempfile.TemporaryDirectory() as folder:
            assert unpacked(Path(folder), content) == files


# ---- hostile archives


def zip_special(mode: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("special")
        entry.create_system, entry.external_attr = 3, mode << 16
        archive.writestr(entry, "../../outside")
    return buffer.getvalue()


def zip_changed(change: Callable[[bytearray], None]) -> bytes:
    content = bytearray(zip_bytes({"a": b"abc"}))
    change(content)
    return bytes(content)


def set_encrypted(content: bytearray) -> None:
    content[content.index(b"PK\1\2") + 8] |= 1


def set_method(content: bytearray) -> None:
    content[content.index(b"PK\1\2") + 10] = 9  # deflate64


HOSTILE = {
    "tar parent": (tar_bytes([*ENTRIES, tar_entry("a/../../outside", b"x")]), "leads out"),
    "tar parent folder": (tar_bytes([tar_entry("../outside", kind=tarfile.DIRTYPE)]), "leads out"),
    "tar backslash": (tar_bytes([tar_entry(r"a\..\..\outside", b"x")]), "leads out"),
    "tar absolute": (tar_bytes([*ENTRIES, tar_entry("/tmp/outside", b"x")]), "absolute"),
    "tar drive": (tar_bytes([tar_entry(r"C:\outside", b"x")]), "absolute"),
    "tar symlink": (
        tar_bytes([tar_entry("a", kind=tarfile.SYMTYPE, link="../.."), tar_entry("a/outside", b"x")]),
        "link to '../..'",
    ),
    "tar inner symlink": (tar_bytes([tar_entry("a", kind=tarfile.SYMTYPE, link="b")]), "link to 'b'"),
    "tar hardlink": (tar_bytes([tar_entry("a", kind=tarfile.LNKTYPE, link="../../archive.part0")]), "link to"),
    "tar character device": (tar_bytes([tar_entry("a", kind=tarfile.CHRTYPE)]), "type b'3'"),
    "tar block device": (tar_bytes([tar_entry("a", kind=tarfile.BLKTYPE)]), "type b'4'"),
    "tar pipe": (tar_bytes([tar_entry("a", kind=tarfile.FIFOTYPE)]), "type b'6'"),
    "tar twice": (tar_bytes([tar_entry("a", b"x"), tar_entry("./a", b"y")]), "is there twice"),
    "tar file as folder": (tar_bytes([tar_entry("a", b"x"), tar_entry("a/b", b"y")]), "is there twice"),
    "tar folder as file": (tar_bytes([tar_entry("a", b"x"), tar_entry("a", kind=tarfile.DIRTYPE)]), "is there twice"),
    "tar file as folder of folders": (
        tar_bytes([tar_entry("a", b"x"), tar_entry("a/b", kind=tarfile.DIRTYPE)]),
        "is there twice",
    ),
    "tar long name": (tar_bytes([tar_entry("n" * 300, b"x")]), "longer name"),
    "tar long folder": (tar_bytes([tar_entry("n" * 300, kind=tarfile.DIRTYPE)]), "longer name"),
    "tar not UTF-8": (tar_bytes([tar_entry("\udcd6sterreich", b"x")], form=tarfile.GNU_FORMAT), "not UTF-8"),
    "tar deep": (tar_bytes([tar_entry("a/" * 40 + "b", b"y")]), "nested"),
    "zip parent": (zip_bytes({"a/../../outside": b"x"}), "leads out"),
    "zip backslash": (zip_bytes({r"..\outside": b"x"}), "leads out"),
    "zip absolute": (zip_bytes({"/tmp/outside": b"x"}), "absolute"),
    "zip symlink": (zip_special(stat.S_IFLNK | 0o777), "link or a device"),
    "zip pipe": (zip_special(stat.S_IFIFO | 0o666), "link or a device"),
    "zip encrypted": (zip_changed(set_encrypted), "encrypted"),
    "zip method": (zip_changed(set_method), "compression method 9"),
    "zip bzip2": (zip_bytes({"a": b"abc"}, zipfile.ZIP_BZIP2), "compression method 12"),
    "zip LZMA": (zip_bytes({"a": b"abc"}, zipfile.ZIP_LZMA), "compression method 14"),
    "zip folder as file": (zip_bytes({"a": b"x", "a/": b""}), "is there twice"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_whole(tmp_path: Path, name: str) -> None:
    content, why = HOSTILE[name]
    with pytest.raises(DatasetError, match=rf"archive\.part0: refused.*{why}"):
        unpacked(tmp_path, content)
    assert not (tmp_path / "inside" / "target").exists()
    assert not Path("/tmp/outside").exists()


@pytest.mark.parametrize("make", [lambda files: tar_bytes([tar_entry(*f) for f in files.items()], "w:gz"), zip_bytes])
def test_a_bomb_of_bytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[dict[str, bytes]], bytes]
) -> None:
    monkeypatch.setattr(module, "_BYTES_ALWAYS_ALLOWED", 2_000_000)
    files = {f"zeros{number}": bytes(600_000) for number in range(8)}
    assert len(make(files)) * module._LARGEST_RATIO < 4_800_000
    with pytest.raises(DatasetError, match=r"more than 0\.0 GB"):
        unpacked(tmp_path, make(files))
    few = dict(list(files.items())[:3])
    assert unpacked(tmp_path, make(few)) == few


def test_endless_zeros_behind_the_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BYTES_ALWAYS_ALLOWED", 2_000_000)
    with pytest.raises(DatasetError, match="more than"):
        unpacked(tmp_path, gzip.compress(tar_bytes(ENTRIES) + bytes(5_000_000)))


@pytest.mark.parametrize("make", [lambda names: tar_bytes([tar_entry(n) for n in names]),
                                  lambda names: zip_bytes(dict.fromkeys(names, b""))])  # fmt: skip
def test_a_bomb_of_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[list[str]], bytes]
) -> None:
    monkeypatch.setattr(module, "_MOST_ENTRIES", 9)
    assert len(unpacked(tmp_path, make([f"f{number}" for number in range(9)]))) == 9
    with pytest.raises(DatasetError, match="bound of 9"):
        unpacked_again(tmp_path, make([f"f{number}" for number in range(10)]))


def test_folders_that_no_entry_lists_count_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_ENTRIES", 9)
    names = [f"a/b/c{number}/f" for number in range(4)]  # 4 files in 6 folders
    with pytest.raises(DatasetError, match=r"a/b/c3/f.*bound of 9"):
        unpacked(tmp_path, tar_bytes([tar_entry(name) for name in names]))
    listed = [tar_entry(name, kind=tarfile.DIRTYPE) for name in ("./", "a", "a/b", "a/b/c0")]
    assert len(unpacked_again(tmp_path, tar_bytes([*listed, *listed, *(tar_entry(name) for name in names[:3])]))) == 3


def unpacked_again(tmp_path: Path, content: bytes) -> dict[str, bytes]:
    (tmp_path / "again").mkdir()
    return unpacked(tmp_path / "again", content)


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="header of 3000"):
        unpacked(tmp_path, tar_bytes([tar_entry("n" * 3_000_000)], "w:gz", tarfile.GNU_FORMAT))


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0"])
def test_a_sparse_file_is_refused_before_its_map_is_read(tmp_path: Path, version: str) -> None:
    entry, content = tar_entry("a", b"3\n" + b"0\n0\n" * 3 + bytes(496))
    major, minor = version.split(".")
    entry.pax_headers = {"GNU.sparse.realsize": "0", "GNU.sparse.name": "a"}
    entry.pax_headers |= {
        "0.0": {"GNU.sparse.size": "0"},
        "0.1": {"GNU.sparse.map": "0,0"},
        "1.0": {"GNU.sparse.major": major, "GNU.sparse.minor": minor},
    }[version]
    with pytest.raises(DatasetError, match=r"damaged or cut off.*a sparse file"):
        unpacked(tmp_path, tar_bytes([(entry, content)]))


# ---- damaged archives


def every(values: int, count: int) -> Iterator[int]:
    return iter(sorted(random.Random(0).sample(range(1, values), count)))


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz"])
def test_a_truncated_tar_is_refused_wherever_it_is_cut(tmp_path: Path, mode: str) -> None:
    whole = tar_bytes(ENTRIES, mode)
    end = len(whole.rstrip(b"\0")) if mode == "w:" else len(whole)
    block = -(-end // 512) * 512  # where the last file ends: without the zeros that follow, the end is missing
    cuts = [*range(512, block + 1, 512)] if mode == "w:" else [len(whole) - 1]
    for number, cut in enumerate([*cuts, *every(end, 20)]):
        (tmp_path / str(number)).mkdir()
        with pytest.raises(DatasetError, match=r"archive\.part0: (the archive is damaged or cut off|is neither)"):
            unpacked(tmp_path / str(number), whole[:cut])


def test_a_truncated_zip_is_refused(tmp_path: Path) -> None:
    whole = zip_bytes(FILES)
    for number, cut in enumerate([len(whole) - 1, *every(len(whole), 20)]):
        (tmp_path / str(number)).mkdir()
        with pytest.raises(DatasetError, match=r"archive\.part0: (the archive is damaged or cut off|is neither)"):
            unpacked(tmp_path / str(number), whole[:cut])


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    whole = bytearray(tar_bytes([tar_entry("a", b"x"), tar_entry("b", b"y"), tar_entry("c", b"z")]))
    whole[2 * 512 + 3] ^= 0xFF
    with pytest.raises(DatasetError, match=r"damaged or cut off.*checksum"):
        unpacked(tmp_path, bytes(whole))


def test_a_damaged_file_in_a_zip_is_refused(tmp_path: Path) -> None:
    whole = bytearray(zip_bytes({"a": bytes(range(200))}, zipfile.ZIP_STORED))
    whole[100] ^= 1
    with pytest.raises(DatasetError, match=r"damaged or cut off.*CRC"):
        unpacked(tmp_path, bytes(whole))


@given(st.binary(max_size=3000), st.sampled_from([b"", b"PK\3\4", b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\0"]))
@settings(max_examples=60)
def test_bytes_that_are_no_archive_give_one_clear_error(content: bytes, magic: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.raises(DatasetError, match=r"archive\.part0"):
        unpacked(Path(folder), magic + content)


@given(st.integers(0, 10**6), st.integers(1, 255), st.sampled_from(["w:", "w:gz"]))
@settings(max_examples=80)
def test_a_flipped_byte_gives_an_error_or_the_same_names(position: int, flip: int, mode: str) -> None:
    whole = bytearray(tar_bytes(ENTRIES, mode))
    whole[position % len(whole)] ^= flip
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = unpacked(Path(folder), bytes(whole))
        except DatasetError:
            return
    # a plain tar has no checksum of contents; where none is flipped in a header, every file is there
    assert found.keys() == FILES.keys()
    assert mode == "w:" or found == FILES


@pytest.mark.parametrize(("content", "why"), [
    (b"\n <!DOCTYPE html><html>log in", "web page"),
    (b"<html>404", "web page"),
    (b"Rar!\x1a\x07\x01\x00" + bytes(600), "unrar"),
    (b"7z\xbc\xaf\x27\x1c" + bytes(600), "7-Zip"),
    (b"", "neither"),
])  # fmt: skip
def test_other_types_say_what_to_do(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(DatasetError, match=why):
        unpacked(tmp_path, content)


def test_a_zip_in_parts_says_what_to_do(tmp_path: Path) -> None:
    whole = zip_bytes(FILES)
    with pytest.raises(DatasetError, match="join them"):
        unpacked(tmp_path, whole[:100], whole[100:])


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "mine").write_bytes(b"mine")
    (tmp_path / "a.zip").write_bytes(zip_bytes(FILES))
    with pytest.raises(DatasetError, match="is there already"):
        unpack([tmp_path / "a.zip"], tmp_path / "target")
    assert files_in(tmp_path / "target") == {"mine": b"mine"}
