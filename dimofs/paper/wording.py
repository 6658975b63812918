"""How numbers are written for people: rounded, with the minus sign of print."""

import math
from collections.abc import Iterable


def number(value: float, sign: str = "", digits: int = 1) -> str:
    """Write a value with so many decimals; sign "+" also marks what is above zero after rounding."""
    rounded = round(float(value), digits)
    return f"{rounded:{sign if rounded else ''}.{digits}f}".replace("-", "−")


def short(value: float) -> str:
    """Write a stated value as it was stated: no decimals that it does not need."""
    return f"{value:g}".replace("-", "−")


def decimals(values: Iterable[float]) -> int:
    """Choose how many decimals numbers need that are read together: none for counts, two where all are below 2."""
    there = [abs(value) for value in values if not math.isnan(value)]
    largest = max(there, default=0)
    if largest >= 1000 or all(value == round(value) for value in there):
        return 0
    return 1 if largest >= 2 else 2
