"""The columns of Table 3, as the rows of `config/ablations.tsv`, and the trainings that they need."""

import csv
from dataclasses import dataclass
from pathlib import Path

from dimofs.config import ConfigError

_YES_NO = {"yes": True, "no": False}
_INITIAL_WEIGHTS = ("still", "single_frame", "dimofs")
_MOTION = ("offsets", "flow", "none")


@dataclass(frozen=True)
class ActionTraining:
    """One localiser to train; columns of the table that differ in δ alone share it."""

    name: str
    initial_weights: str  #: which network of chapter `pretrain` it starts from
    motion: str  #: what the second branch sees: "offsets", "flow" or "none"
    train_offsets: bool  #: whether the offset predictors learn from the action labels (A27)
    inflated_3d: bool


@dataclass(frozen=True)
class Column:
    """One column of Table 3."""

    name: str
    training: ActionTraining
    dimofs_training: bool  #: the tick in the paper's table
    delta: int | None  #: time gap at test time; None for the inflated network, which has none
    paper_map: float


def read_columns(path: Path) -> list[Column]:
    """Read the sheet.

    Raises ConfigError naming the file, the line and the field.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    columns = [_column(path, line, row) for line, row in enumerate(rows, start=2)]
    plans: dict[str, ActionTraining] = {}
    for column in columns:
        if plans.setdefault(column.training.name, column.training) != column.training:
            raise ConfigError(f"{path}: rows of training {column.training.name!r} differ in more than column and δ")
    if len({column.name for column in columns}) != len(columns):
        raise ConfigError(f"{path}: field 'column' must be different in every row")
    return columns


def find_training(columns: list[Column], name: str) -> ActionTraining:
    """Give the training of that name; ConfigError lists the names there are."""
    plans = {column.training.name: column.training for column in columns}
    if name not in plans:
        raise ConfigError(f"no training {name!r} among the ablations; there are {', '.join(sorted(plans))}")
    return plans[name]


def _column(path: Path, line: int, row: dict[str, str]) -> Column:
    def field(name: str, allowed: tuple[str, ...] | None = None) -> str:
        value = row.get(name)
        if value is None or (allowed is not None and value not in allowed):
            wanted = f"one of {', '.join(allowed)}" if allowed else "a value"
            raise ConfigError(f"{path}, line {line}: field {name!r} must be {wanted}, got {value!r}")
        return value

    def number(name: str) -> float:
        value = field(name)
        try:
            return float(value)
        except ValueError:
            raise ConfigError(f"{path}, line {line}: field {name!r} must be a number, got {value!r}") from None

    def flag(name: str) -> bool:
        return _YES_NO[field(name, tuple(_YES_NO))]

    training = ActionTraining(
        field("training"),
        field("initial_weights", _INITIAL_WEIGHTS),
        field("motion", _MOTION),
        flag("train_offsets"),
        flag("inflated_3d"),
    )
    delta = int(number("delta")) if field("delta") else None
    if (delta is None) != training.inflated_3d:
        raise ConfigError(f"{path}, line {line}: field 'delta' must be empty for an inflated network, and only there")
    if training.train_offsets and training.motion != "offsets":
        raise ConfigError(f"{path}, line {line}: field 'train_offsets' needs motion 'offsets'")
    return Column(field("column"), training, flag("dimofs_training"), delta, number("paper_map"))
