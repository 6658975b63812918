"""The manifest stands for every byte of a data set."""

import csv
import hashlib
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dimofs.datasets.manifest import dataset_root, write_manifest
from dimofs.datasets.records import DatasetError

FILES = {"b.txt": b"b", "a/x (1)!+-@.avi": b"", 'a/comma, and "quote".txt': b"\0\1\2", "a/b/c.bin": b"c" * 3_000_000}


def write_files(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def test_lists_every_file_sorted_with_size_and_hash(tmp_path: Path) -> None:
    write_files(tmp_path / "jhmdb", FILES)
    write_manifest(tmp_path / "jhmdb", tmp_path / "jhmdb.csv")
    with (tmp_path / "jhmdb.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["path", "bytes", "sha256"]
    assert rows == [
        [name, str(len(FILES[name])), hashlib.sha256(FILES[name]).hexdigest()] for name in sorted(FILES)
    ]  # fmt: skip


@given(
    st.dictionaries(
        st.from_regex(r"[a-c]{1,3}(/[d-f]{1,3}\.x)?", fullmatch=True), st.binary(max_size=9), min_size=1, max_size=5
    )
)
@settings(max_examples=15)
def test_equal_folders_give_equal_manifests_and_a_changed_byte_shows(files: dict[str, bytes]) -> None:
    folders = {name.partition("/")[0] for name in files if "/" in name}
    files = {name: content for name, content in files.items() if name not in folders}
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "first"), Path(folder, "second")
        write_files(first, files)
        write_files(second, dict(reversed(files.items())))
        write_manifest(first, first.with_suffix(".csv"))
        write_manifest(second, second.with_suffix(".csv"))
        assert first.with_suffix(".csv").read_bytes() == second.with_suffix(".csv").read_bytes()
        name = min(files)
        (second / name).write_bytes(files[name][:-1] + b"!!")
        write_manifest(second, second.with_suffix(".csv"))
        assert first.with_suffix(".csv").read_bytes() != second.with_suffix(".csv").read_bytes()


def test_a_missing_or_empty_folder_has_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nothing"):
        write_manifest(tmp_path / "nothing", tmp_path / "nothing.csv")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DatasetError, match="nothing"):
        write_manifest(tmp_path / "nothing", tmp_path / "nothing.csv")
    assert not (tmp_path / "nothing.csv").exists()


def test_the_folder_lies_beside_its_manifest(tmp_path: Path) -> None:
    manifest = tmp_path / "jhmdb.csv"
    with pytest.raises(DatasetError, match=re.escape(str(manifest))):
        dataset_root(manifest)
    manifest.touch()
    with pytest.raises(DatasetError, match=rf"^{re.escape(str(tmp_path / 'jhmdb'))}: no such folder"):
        dataset_root(manifest)
    (tmp_path / "jhmdb").mkdir()
    assert dataset_root(manifest) == tmp_path / "jhmdb"
