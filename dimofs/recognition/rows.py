"""The rows of Table 4, as `config/recognition.tsv` lists them in the paper's order."""

import csv
from dataclasses import dataclass
from pathlib import Path

from dimofs.config import ConfigError

_DIMS = ("2D", "3D")


@dataclass(frozen=True)
class Row:
    """One row of Table 4."""

    model: str  #: as the table shows it
    name: str  #: of its files in results/recognition/
    dims: str  #: "2D" or "3D": what its convolutions see
    pretraining: str  #: the paper's; docs/decisions.md says what stands in for it on embedded data
    paper_accuracy: float  #: percent of all test dives, V1 labels


def read_rows(path: Path) -> list[Row]:
    """Read the sheet.

    Raises ConfigError naming the file, the line and the field.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [_row(path, line, row) for line, row in enumerate(csv.DictReader(file, delimiter="\t"), start=2)]
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    if not rows or len({row.name for row in rows}) != len(rows):
        raise ConfigError(f"{path}: must have rows, and field 'name' must be different in every one")
    return rows


def _row(path: Path, line: int, cells: dict[str, str]) -> Row:
    def field(name: str) -> str:
        value = cells.get(name)
        if not value:
            raise ConfigError(f"{path}, line {line}: field {name!r} must be given")
        return value

    if field("dims") not in _DIMS:
        raise ConfigError(f"{path}, line {line}: field 'dims' must be 2D or 3D, got {field('dims')!r}")
    try:
        accuracy = float(field("paper_accuracy"))
    except ValueError:
        raise ConfigError(
            f"{path}, line {line}: field 'paper_accuracy' must be a number, got {field('paper_accuracy')!r}"
        ) from None
    return Row(field("model"), field("name"), field("dims"), field("pretraining"), accuracy)
