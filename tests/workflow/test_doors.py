"""One DAG, two doors: Snakemake and DVC make the same and believe each other."""

import ast
import csv
import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import yaml
from conftest import ROOT, Clone, timed

import dimofs.config
from dimofs.config import load_config

#: Outputs that `results/table3.csv` does not need: what is still missing after it was the only target.
NOT_FOR_TABLE3 = (
    "data/pairs/diving48*", "results/pretrain/single_frame.*", "results/pose/*", "results/tracking/*",
    "results/motion/*", "results/features/*", "results/clusters/*", "results/recognition/*",
    "results/actions/*_sweep.parquet", "results/actions/sweep*.csv", "results/table[124].csv", "results/motion.csv",
    "results/figure*", "results/training_curves*", "results/claims.csv",
)  # fmt: skip


def records(clone: Clone) -> list[dict[str, Any]]:
    """Give what Snakemake has recorded about every job of a clone."""
    seen: dict[str, dict[str, Any]] = {}
    for path in (clone.scenario / ".snakemake/metadata").rglob("*"):
        if path.is_file():
            record = json.loads(path.read_text(encoding="utf-8"))
            seen[record["shellcmd"]] = record
    return list(seen.values())


def test_both_doors_make_the_same(by_snakemake: Clone, by_dvc: Clone) -> None:
    left, right = by_snakemake.hashes(), by_dvc.hashes()
    assert left.keys() == right.keys()
    assert [name for name in left if left[name] != right[name]] == []
    assert {
        "results/table1.csv",
        "results/table3.csv",
        "results/table4.csv",
        "results/figure6.pdf",
        "results/figure7.png",
    } <= left.keys()


def test_after_dvc_snakemake_has_nothing_to_do(by_dvc: Clone) -> None:
    assert by_dvc.planned() == set()


def locked_outputs(clone: Clone) -> dict[str, object]:
    """Give what is locked of every stage, but for files that hold seconds."""
    lock = yaml.safe_load((clone.scenario / "dvc.lock").read_text(encoding="utf-8"))
    return {name: [out for out in stage["outs"] if not timed(out["path"])] for name, stage in lock["stages"].items()}


def test_adopt_records_what_snakemake_made(by_snakemake: Clone, by_dvc: Clone, tmp_path: Path) -> None:
    """The recipe of the Makefile, in the smoke scenario."""
    clone = by_snakemake.copy(tmp_path / "adopted")
    recipe = re.search(r"^adopt:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert recipe is not None
    before = clone.times()
    for line in recipe[1].replace("snakemake", "snakemake --snakefile ../../Snakefile").splitlines():
        clone.run(*shlex.split(line))
    assert clone.times() == before
    assert clone.stale() == set()
    assert locked_outputs(clone) == locked_outputs(by_dvc)
    assert "up to date" in clone.run("dvc", "repro", "--dry")


def test_jobs_never_claim_more_cpus_than_there_are(by_snakemake: Clone) -> None:
    """`--cores 8` is what the README says, whatever the machine has."""
    cpus = len(os.sched_getaffinity(0))
    jobs = [(record["starttime"], record["endtime"]) for record in records(by_snakemake)]
    assert len(jobs) > 20
    at_once = [sum(start <= moment < end for start, end in jobs) for moment, _ in jobs]
    assert max(at_once) <= cpus


def test_no_strays(by_snakemake: Clone) -> None:
    """Nothing lies about that no rule makes; in the folder of a data set, nothing that its manifest does not name."""
    lines = by_snakemake.snakemake("--list-untracked", "--quiet").splitlines()
    found = {line for line in lines if line.startswith(("data/", "results/"))}
    named = {
        f"data/datasets/{manifest.stem}/{row['path']}"
        for manifest in (by_snakemake.scenario / "data/datasets").glob("*.csv")
        for row in csv.DictReader(manifest.open(encoding="utf-8"))
    }
    assert {line for line in found if not line.endswith("/.snakemake_timestamp")} == named


def test_every_job_leaves_a_log_and_a_benchmark(by_snakemake: Clone) -> None:
    for record in records(by_snakemake):
        for name in record["log"]:
            assert (by_snakemake.scenario / name).is_file()
    assert len(list((by_snakemake.scenario / "logs/benchmarks").rglob("*.jsonl"))) == len(records(by_snakemake))


def test_report_shows_every_table_and_figure(by_snakemake: Clone, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    by_snakemake.snakemake("--report", str(page), "--", "all")
    text = page.read_text(encoding="utf-8")
    for title in ("Table 1", "Table 3", "Figure 6", "Figure 7"):
        assert title in text
    assert "ERROR/3" not in text


def test_the_page_is_made_on_demand(by_snakemake: Clone, tmp_path: Path) -> None:
    """It tells how long the jobs took, so it is no output that two doors or two runs could share."""
    clone = by_snakemake.copy(tmp_path / "page")
    assert clone.planned("results/report.html") == {"report_page"}
    clone.snakemake("--cores", "1", "results/report.html")
    page = (clone.scenario / "results/report.html").read_text(encoding="utf-8")
    for part in ("Table 1", "Table 2", "Table 3", "Figure 6", "Figure 7", "pretrain/still"):
        assert part in page


# -- what a verb really reads and loads, against what its rule declares


def spied_rules(spied: Path, clone: Clone) -> dict[str, tuple[set[str], set[str], set[str]]]:
    """Give for every rule the names of its parameters, and the keys and the modules that were seen in use."""
    jobs = {shlex.join(shlex.split(record["shellcmd"].partition(" > ")[0])): record for record in records(clone)}
    seen = [json.loads(path.read_text(encoding="utf-8")) for path in spied.glob("*.json")]
    assert len(seen) == len(jobs) > 20
    rules: dict[str, tuple[set[str], set[str], set[str]]] = {}
    for record in seen:
        job = jobs[shlex.join(["dimofs", *record["command"]])]
        declared, keys, modules = rules.setdefault(str(job["rule"]), (set(), set(), set()))
        for value in map(ast.literal_eval, job["params"]):
            declared |= {entry.partition("=")[0] for entry in ([value] if isinstance(value, str) else value)}
        keys.update(record["keys"])
        modules.update(record["modules"])
    return rules


def test_rules_record_all_code_that_their_verbs_load(spied: Path, by_snakemake: Clone) -> None:
    for rule, (declared, _, modules) in spied_rules(spied, by_snakemake).items():
        loaded = {name.replace(".", "/") for name in modules if name != "dimofs.config"}
        missing = [name for name in loaded if not {f"{name}.py", f"{name}/__init__.py"} & declared]
        assert missing == [], rule


def test_rules_record_all_settings_that_their_verbs_read(spied: Path, by_snakemake: Clone) -> None:
    sections = {type(section).__name__: name for name, section in load_config(ROOT / "config/config.yaml")}
    undeclared = set()
    for rule, (declared, keys, _) in spied_rules(spied, by_snakemake).items():
        for key in keys:
            owner, _, field = key.partition(".")
            if key not in ("Config.seed", "Config.seeds") and owner not in sections:
                continue  # a section itself, or what lies deeper than one: its parent is on record too
            names = [field] if field != "*" else list(getattr(dimofs.config, owner).model_fields)
            for name in names:
                read = name if owner == "Config" else f"{sections[owner]}.{name}"
                if not any(f"{entry}.".startswith(f"{read}.") for entry in declared):
                    undeclared.add((rule, read))
    assert undeclared == set()


# -- partial runs


def test_dvc_completes_a_partial_run_without_repeating_it(by_snakemake: Clone, by_dvc: Clone, tmp_path: Path) -> None:
    clone = by_snakemake.copy(tmp_path / "partial")
    for pattern in NOT_FOR_TABLE3:
        for path in clone.scenario.glob(pattern):
            path.unlink()
    before = clone.times()
    assert str(clone.scenario / "results/table3.csv") in before
    clone.run("dvc", "repro")
    after = clone.times()
    assert {name: after[name] for name in before} == before
    assert clone.hashes() == by_dvc.hashes()
