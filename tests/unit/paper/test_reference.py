from pathlib import Path

import pytest

from dimofs.actions.ablations import read_columns
from dimofs.actions.evaluate import PAPER_DIFFERENCES
from dimofs.metrics import POSE_COLUMNS
from dimofs.paper.reference import paper_value, paper_values
from dimofs.recognition.rows import read_rows

ROOT = Path(__file__).parents[3]


def test_every_value_has_one_name_and_says_where_it_is_from():
    values = paper_values()
    assert list(values.columns) == ["table", "row", "column", "value", "source", "note"]
    assert not values.duplicated(["table", "row", "column"]).any()
    assert set(values["source"]) == {"stated", "derived"}
    assert values.loc[values["source"] == "derived", "note"].notna().all()
    assert values["value"].notna().all()


def test_an_unknown_value_is_an_error():
    with pytest.raises(KeyError):
        paper_value("table3", "7", "map")


@pytest.mark.parametrize("method", ["single_frame", "dimofs"])
def test_the_means_of_table_1_are_those_of_the_fifteen_joints(method):
    """Weighting each column by its number of joints gives the stated mean, to the rounding of the columns."""
    columns = {column: len(joints) for column, joints in POSE_COLUMNS.items() if column != "mean"}
    mean = sum(paper_value("table1", method, column) * size for column, size in columns.items()) / 15
    assert mean == pytest.approx(paper_value("table1", method, "mean"), abs=0.1)


@pytest.mark.parametrize("method", ["single_frame", "dimofs"])
def test_the_means_of_table_2_are_those_of_the_fifteen_joints(method):
    """The stated one of the baseline, and so the blank one of DiMoFs."""
    columns = {column: len(joints) for column, joints in POSE_COLUMNS.items() if column != "mean"}
    mean = sum(paper_value("table2", method, column) * size for column, size in columns.items()) / 15
    assert mean == pytest.approx(paper_value("table2", method, "mean"), abs=0.05)


def test_stated_differences_follow_from_stated_values():
    gain = paper_value("table1", "dimofs", "mean") - paper_value("table1", "single_frame", "mean")
    assert gain == pytest.approx(paper_value("table1", "difference", "mean"))
    for minuend, subtrahend in PAPER_DIFFERENCES:
        difference = paper_value("table3", minuend, "map") - paper_value("table3", subtrahend, "map")
        assert difference == pytest.approx(paper_value("table3", f"{minuend}-{subtrahend}", "difference"))


def test_derived_values_of_figure_6():
    baseline, own = (paper_value("table1", method, "mean") for method in ("single_frame", "dimofs"))
    for method in ("copy", "dimofs"):
        drop = paper_value("figure6", method, "drop_at_10")
        assert baseline + drop == pytest.approx(paper_value("figure6", method, "ap_at_10"))
    assert own + paper_value("figure6", "dimofs", "drop_at_10") == pytest.approx(
        paper_value("figure6", "dimofs", "ap_at_10_from_own")
    )


def test_the_ablations_carry_the_papers_values():
    for column in read_columns(ROOT / "config" / "ablations.tsv"):
        assert column.paper_map == paper_value("table3", column.name.split()[0], "map")


def test_table_4_is_that_of_the_sheet():
    rows = read_rows(ROOT / "config/recognition.tsv")
    assert {row.name: row.paper_accuracy for row in rows} == {
        row.name: paper_value("table4", row.name, "accuracy") for row in rows
    }
    for minuend, subtrahend in (("init_pose_dimofs", "init_pose_flow"), ("final", "r2plus1d")):
        difference = paper_value("table4", minuend, "accuracy") - paper_value("table4", subtrahend, "accuracy")
        assert difference == pytest.approx(paper_value("table4", f"{minuend}-{subtrahend}", "difference"))
