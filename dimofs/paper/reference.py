"""The paper's own values, verbatim from `reference.csv` beside this module.

Columns: table, row, column, value, source (`stated` in the paper, or `derived` from stated values by the arithmetic in
the note), note. They are values on PoseTrack17, JHMDB and Diving48 (V1): only ever shown beside ours, never mixed with
them.
"""

from functools import cache
from importlib.resources import files

import pandas as pd


def paper_values() -> pd.DataFrame:
    """All values of the paper that the tables and figures show, one a row."""
    with files(__package__).joinpath("reference.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype={"table": str, "row": str, "column": str, "value": float})


def paper_value(table: str, row: str, column: str) -> float:
    """One value, such as ("table3", "6", "map"). Raises KeyError when the paper has none."""
    return _by_name()[table, row, column]


@cache
def _by_name() -> dict[tuple[str, str, str], float]:
    values = paper_values()
    names = zip(values["table"], values["row"], values["column"], strict=True)
    return dict(zip(names, values["value"], strict=True))
