"""Style that no linter of Python sees: `snakemake --lint`, and names of test files that pytest can tell apart.

Of Snakemake's rules one does not hold: that every job names a conda environment or container of its own. All jobs share
one environment, the one that Snakemake itself runs in (requirements.lock, environment.yml).
"""

import re
import subprocess
import sys
from collections import Counter

from conftest import ROOT

ONE_ENVIRONMENT = "Specify a conda environment or container for each rule.:"


def test_lint() -> None:
    command = [sys.executable, "-m", "snakemake", "--lint"]
    text = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    found = re.findall(r"^    \* (.+)$", text, re.M)
    assert ONE_ENVIRONMENT in found, f"the linter did not look at the rules:\n{text}"
    assert set(found) == {ONE_ENVIRONMENT}, text


def test_names_of_test_files_are_unique() -> None:
    """pytest imports test files by their bare names: of two alike one runs alone, and both together are an error."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, times in names.items() if times > 1] == []
