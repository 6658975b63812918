"""Archives from a server on this machine, with everything that goes wrong on the way, to a data set that reads."""

import csv
import gzip
import hashlib
import io
import os
import tarfile
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dimofs.config import (
    ConfigError,
    CorpusSize,
    Datasets,
    Diving48Size,
    JhmdbSize,
    MotionCaptureSize,
    PoseTrackSize,
    StillsSize,
)
from dimofs.datasets import archives as module
from dimofs.datasets.archives import Archive, assemble, missing_archives, obtain, read_archives
from dimofs.datasets.counts import check_counts
from dimofs.datasets.jhmdb import read_jhmdb
from dimofs.datasets.records import JHMDB_CLASSES, DatasetError
from dimofs.datasets.synthetic.jhmdb_files import jhmdb_plan, write_action_clip, write_splits

SHEET = Path(__file__).parents[3] / "config" / "datasets.tsv"
#: What each file of the rendered set stands for, with the types that the official archives have.
JHMDB = {
    "Rename_Images.tar.gz": "Rename_Images",
    "joint_positions.zip": "joint_positions",
    "puppet_mask.zip": "puppet_mask",
    "splits.zip": "splits",
}


class Server:
    """A server on the loopback address: path → what it answers."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, str] = {}  #: path → "404", "500", "500 once", "cut", "cut once", "page", "encoded"
        self.asked: Counter[str] = Counter()
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name = request.path.lstrip("/")
        self.asked[name] += 1
        fault, _, once = self.faults.get(name, "").partition(" ")
        if once and self.asked[name] > 1:
            fault = ""
        if fault.isdigit() or name not in self.files:
            request.send_error(int(fault or 404))
            return
        content = b"<!DOCTYPE html><title>log in</title>" if fault == "page" else self.files[name]
        request.send_response(200)
        if fault == "encoded" and "gzip" in request.headers.get("Accept-Encoding", ""):
            request.send_header("Content-Encoding", "gzip")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content[: len(content) // 2] if fault == "cut" else content)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "_PAUSE", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    served = Server()
    yield served
    served.close()


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JHMDB of three clips a class, two small frames each."""
    root = tmp_path_factory.mktemp("rendered") / "jhmdb"
    posetrack = PoseTrackSize(train_videos=1, val_videos=1, frames=2, labelled_frames=1, val_label_step=1)
    jhmdb = JhmdbSize(clips_per_class=3, min_frames=2, max_frames=2)
    sizes = Datasets(
        footage=None,
        source="rendered",
        accept_terms=(),
        accept_partial=False,
        frame_size=64,
        posetrack18=posetrack,
        stills=StillsSize(images=1),
        jhmdb=jhmdb,
        motion_capture=MotionCaptureSize(videos=1),
        diving48=Diving48Size(
            train_clips_per_class=1, test_clips_per_class=1, train_videos=1, test_videos=1, frame_rate=10
        ),
        corpus=CorpusSize(clips_per_class=1, frames=2),
    )
    for clip in jhmdb_plan(sizes, 0, root):
        write_action_clip(clip)
    write_splits(root, 0)
    return root


def pack(root: Path, folder: str, name: str) -> bytes:
    """A folder as an archive whose type follows from the name."""
    paths = sorted(path for path in (root / folder).rglob("*") if path.is_file())
    buffer = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in paths:
                archive.write(path, path.relative_to(root).as_posix())
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            tar.add(root / folder, folder)
    return buffer.getvalue()


@pytest.fixture
def sheet(server: Server, rendered: Path) -> list[Archive]:
    """The lines of JHMDB in the project's own sheet, with the urls and checksums of the rendered set."""
    for name, folder in JHMDB.items():
        server.files[name] = pack(rendered, folder, name)
    return [
        replace(
            archive,
            urls=(server.url(archive.file),),
            checksum=f"md5:{hashlib.md5(server.files[archive.file]).hexdigest()}" if archive.needed else None,
        )
        for archive in read_archives(SHEET)
        if archive.dataset == "jhmdb"
    ]


def one(server: Server, content: bytes, *urls: str, checksum: bool = True) -> Archive:
    server.files.setdefault("splits.zip", content)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}" if checksum else None
    return Archive("jhmdb", "splits.zip", "splits.zip", "2013", "splits", True, "", digest,
                   tuple(map(server.url, urls or ("splits.zip",))), "the terms", "ask a librarian")  # fmt: skip


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# ---- the sheet


def test_the_sheet_lists_the_official_archives() -> None:
    archives = read_archives(SHEET)
    assert Counter(archive.dataset for archive in archives) == {
        "posetrack17": 10, "posetrack18": 19, "jhmdb": 10, "diving48_v1": 4, "diving48_v2": 4,
    }  # fmt: skip
    assert sum(archive.checksum is not None for archive in archives) == 9
    assert all(archive.urls and archive.terms and archive.by_hand for archive in archives)
    parts = [archive.file for archive in archives if archive.archive == "posetrack18_images.tar"]
    assert (len(parts), parts) == (18, sorted(parts))
    assert {archive.file for archive in archives if archive.dataset == "jhmdb" and archive.needed} == set(JHMDB)


def test_the_published_checksum_of_the_splits_stands_in_the_sheet() -> None:
    (splits,) = [archive for archive in read_archives(SHEET) if archive.file == "splits.zip"]
    assert splits.checksum == "md5:15b9f2f7a99d63c07f3be0c9ecde43b5"


@pytest.mark.parametrize(("field", "value"), [
    ("dataset", ""), ("file", "../splits.zip"), ("file", "a/b.zip"), ("file", ".hidden"), ("archive", ""),
    ("holds", "../.."), ("needed", "maybe"), ("checksum", "md5:123"), ("checksum", "15b9f2f7a99d63c07f3be0c9ecde43b5"),
    ("urls", "file:///etc/passwd"), ("urls", "ftp://a/b"), ("terms", ""), ("by_hand", ""),
])  # fmt: skip
def test_a_bad_field_is_named_with_its_line(tmp_path: Path, field: str, value: str) -> None:
    with SHEET.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    rows[3][field] = value
    with (tmp_path / "datasets.tsv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(ConfigError, match=rf"datasets\.tsv, line 5: field '{field}'"):
        read_archives(tmp_path / "datasets.tsv")


def test_a_short_a_long_and_a_repeated_line_are_named(tmp_path: Path) -> None:
    path = tmp_path / "datasets.tsv"
    head, first, *_ = SHEET.read_text().splitlines()
    for line, complaint in ((first.rpartition("\t")[0], "field 'by_hand'"), (first + "\tmore", "more fields")):
        path.write_text(f"{head}\n{line}\n")
        with pytest.raises(ConfigError, match=rf"line 2: .*{complaint}"):
            read_archives(path)
    path.write_text(f"{head}\n{first}\n{first}\n")
    with pytest.raises(ConfigError, match="line 3: field 'file' repeats"):
        read_archives(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_archives(tmp_path / "none.tsv")


# ---- obtaining


def test_a_download_is_verified_and_then_named(tmp_path: Path, server: Server) -> None:
    path = obtain(one(server, b"content"), tmp_path / "data" / "archives", accept_terms=True)
    assert path == tmp_path / "data" / "archives" / "splits.zip"
    assert path.read_bytes() == b"content"
    assert names(path.parent) == ["splits.zip"]
    obtain(one(server, b"content"), path.parent, accept_terms=False)
    assert server.asked == {"splits.zip": 1}


def test_nothing_is_downloaded_where_the_terms_are_not_accepted(tmp_path: Path, server: Server) -> None:
    with pytest.raises(DatasetError) as error:
        obtain(one(server, b"content"), tmp_path / "archives", accept_terms=False)
    message = str(error.value)
    digest = "sha256 ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
    what_to_do = ("does not accept the terms", "the terms", "ask a librarian", server.url("splits.zip"), digest)
    assert all(part in message for part in (f"{tmp_path}/archives/splits.zip", *what_to_do))
    assert not server.asked
    assert not (tmp_path / "archives").exists()


@pytest.mark.parametrize("fault", ["404", "500", "cut", "page"])
def test_where_the_first_url_fails_the_mirror_serves(tmp_path: Path, server: Server, fault: str) -> None:
    archive = one(server, b"content" * 1000, "first.zip", "splits.zip")
    server.files["first.zip"], server.faults["first.zip"] = b"content" * 1000, fault
    assert obtain(archive, tmp_path, accept_terms=True).read_bytes() == b"content" * 1000
    assert server.asked == {"first.zip": 1, "splits.zip": 1}
    assert names(tmp_path) == ["splits.zip"]


@pytest.mark.parametrize("fault", ["500 once", "cut once"])
def test_a_failure_that_passes_is_tried_again(tmp_path: Path, server: Server, fault: str) -> None:
    server.faults["splits.zip"] = fault
    assert obtain(one(server, b"content" * 1000), tmp_path, accept_terms=True).read_bytes() == b"content" * 1000
    assert server.asked == {"splits.zip": 2}


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize(("fault", "said", "asked"), [
    ("404", "404", 1), ("500", "500", 2), ("cut", "IncompleteRead", 2), ("page", None, 1),
])  # fmt: skip
def test_where_nothing_works_the_error_says_what_to_do(
    tmp_path: Path, server: Server, fault: str, said: str | None, asked: int, checksum: bool
) -> None:
    server.faults["splits.zip"] = fault
    with pytest.raises(DatasetError) as error:
        obtain(one(server, b"content" * 1000, checksum=checksum), tmp_path, accept_terms=True)
    what_to_do = ("get it and put it there", server.url("splits.zip"), "the terms", "ask a librarian")
    for part in (str(tmp_path / "splits.zip"), said or ("checksum" if checksum else "web page"), *what_to_do):
        assert part in str(error.value)
    assert server.asked == {"splits.zip": asked}
    assert names(tmp_path) == []


def test_a_gzip_is_not_unpacked_on_the_way(tmp_path: Path, server: Server) -> None:
    content = gzip.compress(b"content")
    server.faults["splits.zip"] = "encoded"
    assert obtain(one(server, content), tmp_path, accept_terms=True).read_bytes() == content


def test_a_server_that_is_not_there(tmp_path: Path, server: Server) -> None:
    archive = replace(one(server, b""), urls=("http://127.0.0.1:9/splits.zip",))
    with pytest.raises(DatasetError, match="refused"):
        obtain(archive, tmp_path, accept_terms=True)


def test_a_wrong_checksum_is_never_named(tmp_path: Path, server: Server) -> None:
    archive = one(server, b"official")
    server.files["splits.zip"] = b"other"
    with pytest.raises(DatasetError, match="another checksum"):
        obtain(archive, tmp_path, accept_terms=True)
    assert server.asked == {"splits.zip": 1}
    assert names(tmp_path) == []


# ---- what the user supplied


def test_what_the_user_supplied_is_used_as_it_is(tmp_path: Path, server: Server) -> None:
    (tmp_path / "splits.zip").write_bytes(b"content")
    before = (tmp_path / "splits.zip").stat()
    assert obtain(one(server, b"content"), tmp_path, accept_terms=True) == tmp_path / "splits.zip"
    assert obtain(one(server, b"anything", checksum=False), tmp_path, accept_terms=True) == tmp_path / "splits.zip"
    after = (tmp_path / "splits.zip").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert not server.asked


@pytest.mark.parametrize("accept_terms", [True, False])
def test_a_users_file_with_another_checksum_is_reported_and_left(
    tmp_path: Path, server: Server, accept_terms: bool
) -> None:
    (tmp_path / "splits.zip").write_bytes(b"mine")
    with pytest.raises(DatasetError, match=r"its sha256 is .* is published .* left as it is"):
        obtain(one(server, b"content"), tmp_path, accept_terms)
    assert (tmp_path / "splits.zip").read_bytes() == b"mine"
    assert not server.asked


def test_a_users_folder_or_dead_link_under_the_name_is_left(tmp_path: Path, server: Server) -> None:
    (tmp_path / "splits.zip").symlink_to("nowhere")
    with pytest.raises(DatasetError, match="is not a file"):
        obtain(one(server, b"content"), tmp_path, accept_terms=True)
    assert os.readlink(tmp_path / "splits.zip") == "nowhere"
    assert not server.asked


def test_a_file_that_appears_during_the_download_is_left(tmp_path: Path, server: Server) -> None:
    served = server.answer

    def answer(request: BaseHTTPRequestHandler) -> None:
        (tmp_path / "splits.zip").write_bytes(b"mine")
        served(request)

    server.answer = answer  # type: ignore[method-assign]
    with pytest.raises(DatasetError, match="appeared during the download"):
        obtain(one(server, b"content"), tmp_path, accept_terms=True)
    assert (tmp_path / "splits.zip").read_bytes() == b"mine"


def test_nothing_the_user_supplied_is_changed_or_removed_whatever_fails(
    tmp_path: Path, server: Server, sheet: list[Archive]
) -> None:
    folder, root = tmp_path / "archives", tmp_path / "datasets" / "jhmdb"
    hostile = io.BytesIO()
    with tarfile.open(fileobj=hostile, mode="w") as tar:
        link = tarfile.TarInfo("Rename_Images")
        link.type, link.linkname = tarfile.SYMTYPE, "../../archives"
        tar.addfile(link)
        tar.addfile(tarfile.TarInfo("Rename_Images/splits.zip"))
    mine = {"notes.txt": b"mine", "Rename_Images.tar.gz": hostile.getvalue(), "splits.zip": server.files["splits.zip"]}
    folder.mkdir()
    for name, content in mine.items():
        (folder / name).write_bytes(content)
    unverified = [replace(archive, checksum=None) for archive in sheet]
    for archives, fault, accept_terms, said in (
        (sheet, "", False, "does not accept"),
        (sheet, "", True, "its md5 is"),
        (unverified, "404", True, "404"),
        (unverified, "cut", True, "IncompleteRead"),
        (unverified, "", True, "is a link to '../../archives'"),
    ):
        for name in ("joint_positions.zip", "puppet_mask.zip"):
            (folder / name).unlink(missing_ok=True)  # downloaded in an earlier round
        server.faults["puppet_mask.zip"] = fault
        with pytest.raises(DatasetError, match=said):
            assemble("jhmdb", archives, folder, root, accept_terms)
        assert {name: (folder / name).read_bytes() for name in mine} == mine
        assert not root.exists()
    assert names(tmp_path / "datasets") == []


def test_a_data_set_that_is_there_is_left(tmp_path: Path, sheet: list[Archive]) -> None:
    (tmp_path / "jhmdb").mkdir()
    (tmp_path / "jhmdb" / "mine.txt").write_bytes(b"mine")
    with pytest.raises(DatasetError, match="none is ever overwritten"):
        assemble("jhmdb", sheet, tmp_path / "archives", tmp_path / "jhmdb", accept_terms=True)
    assert (tmp_path / "jhmdb" / "mine.txt").read_bytes() == b"mine"


# ---- from archives to a data set


def test_a_link_is_refused_before_anything_is_unpacked(tmp_path: Path, sheet: list[Archive]) -> None:
    (tmp_path / "large_disk").mkdir()
    (tmp_path / "jhmdb").symlink_to("large_disk")
    with pytest.raises(DatasetError, match=r"jhmdb: is a link.*link the folder above"):
        assemble("jhmdb", sheet, tmp_path / "archives", tmp_path / "jhmdb", accept_terms=True)
    assert (tmp_path / "jhmdb").is_symlink()


def test_the_archives_become_the_data_set(tmp_path: Path, server: Server, sheet: list[Archive], rendered: Path) -> None:
    root = tmp_path / "datasets" / "jhmdb"
    assemble("jhmdb", sheet, tmp_path / "archives", root, accept_terms=True)
    assert names(root) == sorted(JHMDB.values())
    assert names(tmp_path / "archives") == sorted(JHMDB)
    assert names(root.parent) == ["jhmdb"]
    for folder in JHMDB.values():
        original = {path.relative_to(rendered): path for path in (rendered / folder).rglob("*") if path.is_file()}
        assert {path.relative_to(root) for path in (root / folder).rglob("*") if path.is_file()} == set(original)
        assert all((root / name).read_bytes() == path.read_bytes() for name, path in original.items())
    videos = read_jhmdb(root, 1)
    assert len(videos) == 3 * len(JHMDB_CLASSES)
    assert Counter(video.split for video in videos) == {"train": 42, "test": 21}
    with pytest.raises(DatasetError, match="42 train clips and 21 test clips, published are 660 and 268"):
        check_counts(root, "jhmdb", partial=False)


def test_a_truncated_archive_leaves_no_data_set(tmp_path: Path, server: Server, sheet: list[Archive]) -> None:
    (tmp_path / "archives").mkdir()
    cut = server.files["Rename_Images.tar.gz"][:-1000]
    (tmp_path / "archives" / "Rename_Images.tar.gz").write_bytes(cut)
    unverified = [replace(archive, checksum=None) for archive in sheet]
    with pytest.raises(DatasetError, match=r"Rename_Images\.tar\.gz: the archive is damaged or cut off"):
        assemble("jhmdb", unverified, tmp_path / "archives", tmp_path / "data" / "jhmdb", accept_terms=True)
    assert names(tmp_path / "data") == []
    assert (tmp_path / "archives" / "Rename_Images.tar.gz").read_bytes() == cut


def test_wrapped_and_bare_archives_come_into_the_official_layout(tmp_path: Path, server: Server) -> None:
    def zipped(files: dict[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return buffer.getvalue()

    def line(file: str, holds: str, needed: bool = True) -> Archive:
        return replace(one(server, b"", checksum=False), archive=file, file=file, holds=holds, needed=needed)

    given = {
        "wrapped.zip": zipped({"posetrack_data/images/a/1.jpg": b"1", "__MACOSX/posetrack_data/images": b""}),
        "more.zip": zipped({"images/b/1.jpg": b"2"}),
        "bare.zip": zipped({"a.txt": b"3"}),
        "labels.json": b"[]",
        "optional.zip": zipped({"extra/x": b"4"}),
    }
    for name, content in given.items():
        (tmp_path / name).write_bytes(content)
    archives = [
        *(line("wrapped.zip", "images"), line("more.zip", "images"), line("bare.zip", "splits")),
        *(line("labels.json", ""), line("optional.zip", "extra", False), line("absent.zip", "none", False)),
    ]
    assemble("jhmdb", archives, tmp_path, tmp_path / "root", accept_terms=False)
    found = {path.relative_to(tmp_path / "root").as_posix(): path.read_bytes()
             for path in (tmp_path / "root").rglob("*") if path.is_file()}  # fmt: skip
    assert found == {"images/a/1.jpg": b"1", "images/b/1.jpg": b"2", "splits/a.txt": b"3", "labels.json": b"[]",
                     "extra/x": b"4"}  # fmt: skip
    (tmp_path / "more.zip").write_bytes(zipped({"images/a/1.jpg": b"other"}))
    with pytest.raises(DatasetError, match=r"1\.jpg: is in two archives"):
        assemble("jhmdb", archives, tmp_path, tmp_path / "second", accept_terms=False)


def test_what_all_archives_lack_is_said_once(tmp_path: Path, sheet: list[Archive]) -> None:
    with pytest.raises(DatasetError) as error:
        assemble("jhmdb", sheet, tmp_path / "archives", tmp_path / "jhmdb", accept_terms=False)
    lines = str(error.value).splitlines()
    assert sum("by hand:" in line for line in lines) == sum("terms:" in line for line in lines) == 1
    for name in JHMDB:
        assert any(line.startswith(f"{tmp_path}/archives/{name}: no such file") for line in lines)


def test_what_is_missing_is_said_before_anything_is_obtained(
    tmp_path: Path, server: Server, sheet: list[Archive]
) -> None:
    (tmp_path / "splits.zip").write_bytes(b"what the user put there is not looked into")
    text = missing_archives("jhmdb", sheet, tmp_path, accept_terms=False)
    named = {line.partition(":")[0] for line in text.splitlines() if not line.startswith(" ")}
    needed = {archive.file for archive in sheet if archive.dataset == "jhmdb" and archive.needed}
    assert named == {str(tmp_path / name) for name in needed - {"splits.zip"}}
    assert text.count("terms:") == 1  # what all share is said once
    assert missing_archives("jhmdb", sheet, tmp_path, accept_terms=True) == ""
    for archive in sheet:
        (tmp_path / archive.file).touch()
    assert missing_archives("jhmdb", sheet, tmp_path, accept_terms=False) == ""
    assert not server.asked


def test_an_unknown_data_set_is_named(tmp_path: Path, sheet: list[Archive]) -> None:
    with pytest.raises(DatasetError, match="jhdmb: the sheet lists no archive of it, only of jhmdb"):
        assemble("jhdmb", sheet, tmp_path, tmp_path / "root", accept_terms=True)
