"""Which files and chapters are believed, without a run of the workflow."""

import os
from pathlib import Path
from typing import Any

import pytest
from snakemake.persistence import MetadataRecord
from snakemake.persistence.file import FilePersistence

from workflow.origin import distrust
from workflow.restore import CONFIG, _allowed, _groups, _is_vouched


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three outputs of Snakemake, of which it recorded two; it was at work on the first when it stopped."""
    monkeypatch.chdir(tmp_path)
    records = FilePersistence(nolock=True)
    for name in ("results/a.csv", "results/b.csv", "results/c.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (1e9, 1e9))
        if name != "results/c.csv":
            records._write_record(name, MetadataRecord(endtime=1e9))
    return tmp_path


def distrusted(*outputs: str) -> list[str]:
    found = distrust(outputs)
    assert FilePersistence(nolock=True)._filter_incomplete_keys(found) == set(found)
    return found


def test_what_has_no_record_is_distrusted(made: Path) -> None:
    assert distrusted("results/{name}.csv", "results/d.csv") == ["results/c.csv"]


@pytest.mark.parametrize(("later", "ours"), [(5e-4, True), (-5e-4, True), (2, False), (-2, False)])
def test_what_has_changed_since_its_record_is_distrusted(made: Path, later: float, ours: bool) -> None:
    os.utime(made / "results/b.csv", (1e9 + later,) * 2)
    assert distrusted("results/b.csv") == ([] if ours else ["results/b.csv"])


def test_a_link_is_as_old_as_it_is_itself(made: Path) -> None:
    (made / "cache").write_text("")
    os.utime(made / "cache", (5, 5))
    (made / "results/b.csv").unlink()
    (made / "results/b.csv").symlink_to("../cache")
    os.utime(made / "results/b.csv", (1e9, 1e9), follow_symlinks=False)
    assert distrusted("results/b.csv") == []


def test_what_a_running_snakemake_is_about_to_write_is_left_alone(made: Path) -> None:
    (made / ".snakemake/locks/0.output.lock").write_text("results/c.csv\n")
    assert distrusted("results/{name}.csv") == []


PARAMETERS_ALONE = [{"changed deps": {CONFIG: "modified"}}]


@pytest.mark.parametrize(
    ("changes", "vouched"),
    [
        ([], True),
        (PARAMETERS_ALONE, True),
        ([{"changed deps": {CONFIG: "modified", "dimofs/cli.py": "modified"}}], False),
        ([{"changed deps": {"dimofs/cli.py": "modified"}}], False),
        ([*PARAMETERS_ALONE, {"changed outs": {"results/pose": "modified"}}], False),
        (["changed command"], False),
    ],
)
def test_a_chapter_is_vouched_for_where_at_most_parameters_have_changed(changes: list[Any], vouched: bool) -> None:
    assert _is_vouched(changes) is vouched


def test_chapters_that_were_made_with_other_values_are_recorded_apart() -> None:
    made_with = {
        "datasets": {"seed": 0, "a": 1},
        "pose": {"seed": 1, "b": 2},
        "pairs": {"seed": 0, "c": 3},
        "paper": {},
    }
    stages = {name: {"params": {CONFIG: own}} for name, own in made_with.items()}
    assert [(parameters, list(chapters)) for parameters, chapters in _groups(stages)] == [
        ({"seed": 0, "a": 1, "c": 3}, ["datasets", "pairs", "paper"]),
        ({"seed": 1, "b": 2}, ["pose"]),
    ]
    assert stages["datasets"]["params"][CONFIG] == {"seed": 0, "a": 1}


def test_the_rules_of_a_chapter_stand_in_its_command() -> None:
    assert _allowed("snakemake --cores 8 --allowed-rules one two -- pose") == ["one", "two"]
    assert _allowed("snakemake pose") == []
