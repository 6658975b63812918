"""`snakemake --lint`, but for one rule of it: that every job names a conda environment or container of its own.

All jobs share one environment, the one that Snakemake itself runs in (requirements.lock, environment.yml).
"""

import re
import subprocess
import sys

from conftest import ROOT

ONE_ENVIRONMENT = "Specify a conda environment or container for each rule.:"


def test_lint() -> None:
    command = [sys.executable, "-m", "snakemake", "--lint"]
    text = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    found = re.findall(r"^    \* (.+)$", text, re.M)
    assert ONE_ENVIRONMENT in found, f"the linter did not look at the rules:\n{text}"
    assert set(found) == {ONE_ENVIRONMENT}, text
