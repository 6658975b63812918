"""JSON files of the expected shape are read; every other one is named, with what to do."""

import re
from pathlib import Path

import pytest

from dimofs.datasets.json_files import read_json
from dimofs.datasets.records import DatasetError


def test_reads_objects_and_lists(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": [1]}', encoding="utf-8")
    assert read_json(path, dict, "remedy") == {"a": [1]}
    path.write_text("[1, 2]", encoding="utf-8")
    assert read_json(path, list, "remedy") == [1, 2]


@pytest.mark.parametrize(
    ("content", "kind", "why"),
    [
        (b"", dict, "is not complete JSON"),
        (b'{"a": ', dict, "is not complete JSON"),
        (b"\xff\xfe\x00", list, "is not complete JSON"),
        (b"[" * 100_000, list, "is not complete JSON"),
        (b"[]", dict, "must be a JSON object, got []"),
        (b"{}", list, "must be a list, got {}"),
        (b"null", dict, "must be a JSON object, got None"),
    ],
    ids=["empty", "cut off", "no text", "nested without end", "list", "object", "null"],
)
def test_anything_else_is_named(tmp_path: Path, content: bytes, kind: type, why: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=re.escape(str(path))) as caught:
        read_json(path, kind, "get it again")
    assert why in str(caught.value)
    assert str(caught.value).endswith("; get it again")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"a\.json: cannot be read \(No such file"):
        read_json(tmp_path / "a.json", dict, "remedy")
