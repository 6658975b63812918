"""Files are read at once, and appear whole under their final name, or not at all."""

import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dimofs.io import read_ahead, read_together, replacing, write_csv, write_parquet


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "table.csv"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent  # so that the rename stays on one file system
        assert temporary.suffix == ".csv"
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old and longer")
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_csv_has_six_digits_and_unix_lines(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_csv(pd.DataFrame({"name": ["a,b", "c"], "n": [1, 2], "x": [1 / 3, 2e-12]}), path)
    assert path.read_bytes() == b'name,n,x\n"a,b",1,0.333333\nc,2,2e-12\n'


def test_csv_of_nearly_equal_results_is_equal(tmp_path: Path) -> None:
    values = np.array([63.123456789, 1e-9])
    write_csv(pd.DataFrame({"x": values}), tmp_path / "a.csv")
    write_csv(pd.DataFrame({"x": values * (1 + 1e-12)}), tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_parquet_keeps_types_and_lists(tmp_path: Path) -> None:
    table = pd.DataFrame({
        "video": ["catch/a", "catch/b"],
        "frame": np.array([3, 4], np.int32),
        "score": np.array([0.5, 0.25], np.float32),
        "box": [np.array([1, 2, 3, 4], np.float32), np.array([5, 6, 7, 8], np.float32)],
    })  # fmt: skip
    write_parquet(table, tmp_path / "table.parquet")
    read = pd.read_parquet(tmp_path / "table.parquet")
    assert [read[name].dtype for name in ("frame", "score")] == [np.int32, np.float32]
    assert read["video"].to_list() == table["video"].to_list()
    np.testing.assert_array_equal(np.stack(read["box"]), np.stack(table["box"]))
    assert read["box"][0].dtype == np.float32


def test_files_are_read_at_once_and_come_in_order():
    gate = threading.Barrier(8, timeout=10)  # opens when eight readers wait at it

    def read(number: int) -> int:
        gate.wait()
        return number

    assert read_together(read, range(16)) == list(range(16))


def test_the_first_of_several_errors_is_told():
    def read(number: int) -> int:
        if number in (3, 5):
            raise ValueError(f"file {number}")
        return number

    with pytest.raises(ValueError, match="file 3"):
        read_together(read, range(8))


def test_no_more_is_read_ahead_than_some_items():
    begun = []
    results = read_ahead(lambda number: begun.append(number) or number, range(1000))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    results.close()
    assert max(begun) < 30
