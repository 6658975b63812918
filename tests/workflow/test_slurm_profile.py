"""The Slurm profile: what it asks for, with GPUs in the cluster and without. tests/cluster/run tries it for real."""

import re
from pathlib import Path
from typing import Any

import pytest
import yte

ROOT = Path(__file__).resolve().parents[2]
RULE = re.compile(r"^(?:    )?rule (\w+):\n(.*?)(?=^(?:    )?rule |\Z)", re.M | re.S)

INHERITED = re.compile(r"^use rule (\w+) as (\w+) with:", re.M)

#: Rules that compute by threads of the configuration, yet run no network.
WITHOUT_NETWORK = {"evaluate_poses", "fit_clusters"}


def profile(gres: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The profile as Snakemake reads it, where `sinfo` tells these generic resources."""
    sinfo = folder / "sinfo"
    sinfo.write_text(f"#!/bin/sh\necho '{gres}'\n", encoding="utf-8")
    sinfo.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return yte.process_yaml((ROOT / "profiles/slurm/config.yaml").read_text(encoding="utf-8"), require_use_yte=True)


def sources() -> list[str]:
    """The text of every file of rules."""
    return [path.read_text(encoding="utf-8") for path in sorted((ROOT / "workflow/rules").glob("*.smk"))]


def rules() -> dict[str, str]:
    """The text of every rule."""
    return {name: text for source in sources() for name, text in RULE.findall(source)}


def test_networks_ask_for_a_gpu_where_there_are_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = profile("(null)\ngpu:h100:8(S:0-1)", tmp_path, monkeypatch)["set-resources"]
    assert {(asked["gpu"], asked["cpus_per_gpu"]) for asked in found.values()} == {(1, 6)}
    assert found.pop("train_rival")["mem_mb"] == 64000
    assert {asked["mem_mb"] for asked in found.values()} == {32000}


def test_without_gpus_the_rules_own_memory_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = profile("(null)", tmp_path, monkeypatch)["set-resources"]
    assert {tuple(asked) for asked in found.values()} == {("runtime",)}


def test_every_rule_with_a_network_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = set(profile("(null)", tmp_path, monkeypatch)["set-resources"])
    networks = {name for name, text in rules().items() if re.search(r"^\s+threads: CHECKED\.", text, re.M)}
    assert networks >= WITHOUT_NETWORK
    networks -= WITHOUT_NETWORK
    assert named == networks | {
        name for text in sources() for rule, name in INHERITED.findall(text) if rule in networks
    }


def test_jobs_that_can_go_on_have_the_longest_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = profile("(null)", tmp_path, monkeypatch)
    day = {name for name, asked in found["set-resources"].items() if asked["runtime"] == 24 * 60}
    assert day == {name for name, text in rules().items() if "--resume" in text}
    assert found["retries"] == 3
    assert found["slurm-requeue"] is True
