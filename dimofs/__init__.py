"""Learning Discriminative Motion Features Through Detection (DiMoFs, arXiv:1812.04172)."""

__version__ = "0.1.0"


class DimofsError(Exception):
    """An error that one message explains; the command line prints it without a traceback."""
