from pathlib import Path

import pytest

from dimofs.actions.ablations import find_training, read_columns
from dimofs.config import ConfigError

SHEET = Path(__file__).parents[3] / "config/ablations.tsv"


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = SHEET.read_text()
    assert old in text
    path = tmp_path / "ablations.tsv"
    path.write_text(text.replace(old, new, 1))
    return path


def test_the_papers_six_columns_and_a_second_reading():
    columns = read_columns(SHEET)
    assert [column.name for column in columns] == ["1", "2", "3", "4", "5", "6", "2 (frozen)", "3 (frozen)"]
    assert [column.paper_map for column in columns[:6]] == [43.8, 44.3, 44.7, 49.6, 50.6, 54.4]
    assert [column.delta for column in columns[:6]] == [None, 0, 10, 0, 10, 10]
    assert [column.dimofs_training for column in columns[:6]] == [False, False, False, True, False, True]


def test_columns_that_differ_in_delta_alone_share_a_training():
    columns = read_columns(SHEET)
    assert len({column.training for column in columns}) == 5
    assert find_training(columns, "dimofs").initial_weights == "dimofs"
    assert not find_training(columns, "control_frozen").train_offsets


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "control\tstill\toffsets\tyes",
            "control\tstil\toffsets\tyes",
            r"line 3: field 'initial_weights' must be one of",
        ),
        ("\t0\t44.3", "\tzero\t44.3", r"line 3: field 'delta' must be a number, got 'zero'"),
        ("\tyes\t\t43.8", "\tyes\t5\t43.8", r"line 2: field 'delta' must be empty for an inflated network"),
        ("flow\tdimofs\tflow\tno", "flow\tdimofs\tflow\tyes", r"line 6: field 'train_offsets' needs motion 'offsets'"),
        ("3\tcontrol\tstill", "3\tcontrol\tdimofs", r"training 'control' differ"),
        ("3\tcontrol", "2\tcontrol", r"field 'column' must be different"),
        ("paper_map", "papermap", r"line 2: field 'paper_map' must be a value, got None"),
    ],
)
def test_every_fault_is_named(tmp_path, old, new, message):
    with pytest.raises(ConfigError, match=message):
        read_columns(edited(tmp_path, old, new))


def test_an_unknown_training_lists_the_known(tmp_path):
    with pytest.raises(ConfigError, match="control, control_frozen, dimofs, flow, inflated"):
        find_training(read_columns(SHEET), "magic")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_columns(tmp_path / "none.tsv")
