"""How numbers are written for people: rounded, with the minus sign of print."""


def number(value: float, sign: str = "", digits: int = 1) -> str:
    """Write a value with so many decimals; sign "+" also marks what is above zero after rounding."""
    rounded = round(float(value), digits)
    return f"{rounded:{sign if rounded else ''}.{digits}f}".replace("-", "−")


def short(value: float) -> str:
    """Write a stated value as it was stated: no decimals that it does not need."""
    return f"{value:g}".replace("-", "−")
