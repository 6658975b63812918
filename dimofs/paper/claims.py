"""The ledger: which of the paper's claims hold here, judged by intervals alone.

`claims.yaml` beside this module states the claims; the file says what its fields mean. A claim is tested against the
interval of what was measured: it is reproduced when the whole interval satisfies the test, contradicted when the whole
interval fails it, and else not decided, whatever the measured value itself says. What has no row in any table was not
run. A claim about several rows (every joint, both ends of a sweep) is reproduced when each of them satisfies the test
and contradicted when one of them fails it; the ledger shows the row that decides. Intervals are not widened for the
number of rows: of many rows that barely hold, one may fail by chance.
"""

import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd
import yaml
from pydantic import Field, ValidationError, model_validator

from dimofs.config import ConfigError, Section
from dimofs.datasets.records import DatasetError
from dimofs.paper.wording import short

Verdict = Literal["reproduced", "not decided", "contradicted", "not run"]
#: From good to bad; "not run" says nothing.
VERDICTS: tuple[Verdict, ...] = ("reproduced", "not decided", "contradicted", "not run")
#: Columns of `results/claims.csv`.
COLUMNS = ("claim", "section", "statement", "paper", "measured", "ci_low", "ci_high", "verdict")

Cell = str | int


class Measured(Section):
    """Where the measured value stands: rows of a table of `results/`."""

    table: str = Field(pattern=r"^[\w/]+\.csv$", description="path under results/, such as pose/differences.csv")
    row: dict[str, Cell | list[Cell]] = Field(min_length=1, description="column → its value, or values")
    column: str = Field(description="column of the value; its interval is in ci_low and ci_high")


class Test(Section):
    """What the whole interval must satisfy: one of these."""

    __test__ = False  # not a test case of pytest

    more_than: float | None = None
    less_than: float | None = None
    at_least: float | Literal["paper"] | None = None
    at_most: float | Literal["paper"] | None = None
    within: float | None = Field(default=None, gt=0, description="distance from the paper's value")

    @model_validator(mode="after")
    def _is_one(self) -> "Test":
        if len(self.model_fields_set) != 1:
            raise ValueError("needs exactly one of more_than, less_than, at_least, at_most, within")
        return self


class Claim(Section):
    """One claim of the paper."""

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    section: str = Field(min_length=1, description="where it stands in the paper")
    statement: str = Field(min_length=1, description="in our words")
    paper: float | None = Field(description="the paper's value; None where it prints none")
    measured: Measured
    test: Test

    @model_validator(mode="after")
    def _has_what_it_is_tested_against(self) -> "Claim":
        if self.paper is None and (self.test.within or "paper" in (self.test.at_least, self.test.at_most)):
            raise ValueError("test compares with the paper's value, but paper is null")
        return self


class _Row(NamedTuple):
    """One measured value with its interval."""

    value: float
    low: float
    high: float


def paper_claims() -> list[Claim]:
    """All claims of `claims.yaml`, in the order of the paper."""
    source = files(__package__).joinpath("claims.yaml")
    return check_claims(yaml.safe_load(source.read_text(encoding="utf-8")), "claims.yaml")


def check_claims(raw: object, name: str) -> list[Claim]:
    """Check parsed claims; `name` is the file that messages speak of.

    Raises ConfigError naming the claim and the field.
    """
    if not isinstance(raw, list):
        raise ConfigError(f"{name}: must be a list of claims")
    claims: list[Claim] = []
    for position, entry in enumerate(raw):
        claim = entry.get("id", f"number {position + 1}") if isinstance(entry, dict) else f"number {position + 1}"
        try:
            claims.append(Claim.model_validate(entry))
        except ValidationError as error:
            problem = error.errors()[0]
            field = ".".join(map(str, problem["loc"])) or "(the claim as a whole)"
            raise ConfigError(f"{name}: claim {claim}: field {field}: {problem['msg']}") from None
        if claims[-1].id in {other.id for other in claims[:-1]}:
            raise ConfigError(f"{name}: claim {claim}: field id: stands twice")
    return claims


def read_tables(results: Path, paths: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """Read result tables as text, cell for cell, named by their path under `results`, such as "pose/differences.csv".

    Raises DatasetError for a path outside `results` or a file that is no table.
    """
    tables = {}
    for path in paths:
        if not path.is_relative_to(results):
            raise DatasetError(f"{path}: is not under {results}, where claims look for it; give a table of this run")
        try:
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path}: cannot be read as a table ({error}); make it again") from error
        tables[path.relative_to(results).as_posix()] = table
    return tables


def judge_claims(claims: Sequence[Claim], tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Judge every claim by the tables that there are, as `read_tables` gives them.

    Returns a table with COLUMNS, a row a claim; paper, measured, ci_low and ci_high are empty where there is no value.

    Raises DatasetError where a table lacks a column that a claim names or holds something else than a number there.
    """
    rows = []
    for claim in claims:
        measured, verdict = _judge(claim, tables)
        rows.append((claim.id, claim.section, claim.statement, claim.paper, *measured, verdict))
    numbers = dict.fromkeys(("paper", "measured", "ci_low", "ci_high"), "float64")
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(numbers)


def in_words(claim: Claim) -> str:
    """Say what a claim's test asks of the interval: "> 0", "≥ −6.1", "within 2 of 0.4"."""
    low, high = bounds(claim)
    if claim.test.within:
        return f"within {short(claim.test.within)} of {short(claim.paper or 0)}"
    strict = claim.test.more_than is not None or claim.test.less_than is not None
    if high == math.inf:
        return f"{'>' if strict else '≥'} {short(low)}"
    return f"{'<' if strict else '≤'} {short(high)}"


def _judge(claim: Claim, tables: Mapping[str, pd.DataFrame]) -> tuple[_Row, Verdict]:
    found = _rows(claim, tables)
    if not found:
        return _Row(math.nan, math.nan, math.nan), "not run"
    low, high = bounds(claim)

    def room(row: _Row) -> float:
        """How far inside the bounds the interval is: the smallest decides among rows of one verdict."""
        return -math.inf if math.isnan(row.low) else min(row.low - low, high - row.high)

    verdicts = [(_verdict(claim, row), row) for row in found]
    worst = max((verdict for verdict, _ in verdicts), key=VERDICTS.index)
    return min((row for verdict, row in verdicts if verdict == worst), key=room), worst


def _rows(claim: Claim, tables: Mapping[str, pd.DataFrame]) -> list[_Row]:
    """Find the rows that a claim is about; none when one that it names is not there."""
    measured = claim.measured
    table = tables.get(measured.table)
    if table is None:
        return []
    missing = {*measured.row, measured.column, "ci_low", "ci_high"} - set(table.columns)
    if missing:
        raise DatasetError(
            f"{measured.table}: has no column {', '.join(sorted(missing))}, which claim {claim.id} names; "
            "make the table again or correct claims.yaml"
        )
    for column, cells in measured.row.items():
        table = table[table[column].isin([str(cell) for cell in _listed(cells)])]
    if any({str(cell) for cell in _listed(cells)} - set(table[column]) for column, cells in measured.row.items()):
        return []
    try:
        values = table[[measured.column, "ci_low", "ci_high"]].replace("", "nan").astype(float)
    except ValueError as error:
        raise DatasetError(
            f"{measured.table}: claim {claim.id} needs numbers ({error}); make the table again"
        ) from error
    return [_Row(*row) for row in values.itertuples(index=False)]


def _verdict(claim: Claim, row: _Row) -> Verdict:
    """Compare an interval with the bounds; more_than and less_than do not take the bound itself."""
    low, high = bounds(claim)
    if math.isnan(row.low) or math.isnan(row.high):
        return "not decided"
    if claim.test.more_than is not None or claim.test.less_than is not None:
        inside, outside = low < row.low and row.high < high, row.high <= low or high <= row.low
    else:
        inside, outside = low <= row.low and row.high <= high, row.high < low or high < row.low
    return "reproduced" if inside else "contradicted" if outside else "not decided"


def bounds(claim: Claim) -> tuple[float, float]:
    """Give the values that satisfy a claim's test, as (lowest, highest); either may be infinite."""
    test, paper = claim.test, math.nan if claim.paper is None else claim.paper
    if test.within is not None:
        return paper - test.within, paper + test.within
    if test.more_than is not None:
        return test.more_than, math.inf
    if test.less_than is not None:
        return -math.inf, test.less_than
    if test.at_least is not None:
        return paper if test.at_least == "paper" else test.at_least, math.inf
    if test.at_most is not None:
        return -math.inf, paper if test.at_most == "paper" else test.at_most
    raise AssertionError("a test has one field")


def _listed(cells: Cell | list[Cell]) -> list[Cell]:
    return cells if isinstance(cells, list) else [cells]
