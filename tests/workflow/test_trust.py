"""What the doors believe after an edit, a clone or a checkout: never an old file for a new one."""

import os
import re
import sys
from pathlib import Path

import pytest
import yaml
from conftest import SMOKE, Clone

CONFIDENCE = (f"{SMOKE}/config/config.yaml", "confidence: 0.95", "confidence: 0.5")
AVERAGE_PRECISION = "results/pose/average_precision.csv"
#: Rules that read the confidence, and those that read what they write.
JUDGES = {
    "evaluate_poses", "evaluate_tracking", "evaluate_motion", "evaluate_columns", "evaluate_sweep",
    "evaluate_recognition",
}  # fmt: skip
PAPER = {"table1", "table2", "table3", "table4", "motion_table", "figure6", "figure7", "claims"}
EVERY_RULE = JUDGES | PAPER | {
    "training_curves", "render", "list_pairs", "train_still", "train_pose", "train_actions",
    "predict_poses", "predict_every_frame", "link_tracks", "predict_columns", "predict_sweep",
    "fit_read_out", "measure_motion", "show_motion", "figure3", "fit_pca", "extract_features",
    "fit_clusters", "describe_clusters", "draw_clusters", "train_recognition", "describe_dives", "classify_histograms",
    "classify_activations", "classify_scenes", "cost_ours",
    "train_rival", "predict_rivals", "fuse_recognition",
}  # fmt: skip


# -- edits of the code


def test_a_comment_reruns_nothing(restored: Clone, tmp_path: Path) -> None:
    clone = restored.copy(tmp_path / "comment")
    for name in ("datasets/posetrack.py", "pose/predict.py", "training/loop.py"):
        clone.append(f"dimofs/{name}", "\n# A comment changes nothing.\n")
    assert clone.planned() == set()
    before = clone.times()
    assert clone.stale("pose") == {"datasets", "pairs", "pretrain", "pose"}
    clone.run("dvc", "repro", "pose")
    assert clone.times() == before
    assert clone.stale("pose") == set()


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("paper/figures.py", {"figure3", "figure6", "figure7", "training_curves"}),
        ("actions/evaluate.py", {"evaluate_columns", "evaluate_sweep", "table3", "figure7", "claims"}),
        ("datasets/synthetic/write.py", EVERY_RULE),
    ],
)
def test_a_change_of_logic_reruns_what_depends_on_it(
    restored: Clone, tmp_path: Path, name: str, rules: set[str]
) -> None:
    clone = restored.copy(tmp_path / "logic")
    clone.append(f"dimofs/{name}", "\n_CHANGED = True\n")
    assert clone.planned() == rules


# -- clone, pull, restore


def test_restore_leaves_nothing_to_do(restored: Clone, by_dvc: Clone) -> None:
    assert restored.hashes() == by_dvc.hashes()
    assert restored.planned() == set()
    assert "up to date" in restored.run("dvc", "repro", "--dry")


def test_restore_after_an_edit_reruns_only_what_the_edit_touches(by_dvc: Clone, tmp_path: Path) -> None:
    clone = by_dvc.clone(tmp_path / "edited")
    clone.edit(*CONFIDENCE)
    clone.run(sys.executable, "-m", "workflow.restore", SMOKE, folder=clone.root)
    assert clone.planned() == JUDGES | PAPER


def test_restore_of_some_chapters_vouches_for_these(by_dvc: Clone, tmp_path: Path) -> None:
    clone = by_dvc.clone(tmp_path / "some")
    path = clone.scenario / "dvc.lock"
    lock = yaml.safe_load(path.read_text(encoding="utf-8"))
    lock["stages"] = {name: stage for name, stage in lock["stages"].items() if name in ("datasets", "pairs")}
    path.write_text(yaml.safe_dump(lock), encoding="utf-8")
    said = clone.run(sys.executable, "-m", "workflow.restore", SMOKE, folder=clone.root)
    assert "restored: datasets, pairs" in said
    assert clone.planned("pairs") == set()
    assert "train_still" in clone.planned()


def test_without_restore_nothing_is_believed(by_dvc: Clone, tmp_path: Path) -> None:
    clone = by_dvc.clone(tmp_path / "pulled")
    clone.run("dvc", "pull", "dvc.yaml")
    text = clone.snakemake("-n", "--quiet", "rules", "--", "all")
    assert "were not made here" in text
    assert "make restore" in text
    assert re.search(r"^render +5$", text, re.M)


# -- the worst fault of the two tools together: an edited parameter locked with outputs of the old one


@pytest.fixture(scope="module")
def intervals(restored: Clone, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """The table before and after the edit, both made honestly."""
    clone = restored.copy(tmp_path_factory.mktemp("honest") / "dimofs")
    before = (clone.scenario / AVERAGE_PRECISION).read_bytes()
    clone.edit(*CONFIDENCE)
    clone.snakemake("--cores", "8", AVERAGE_PRECISION)
    after = (clone.scenario / AVERAGE_PRECISION).read_bytes()
    assert before != after
    return before, after


def locked_confidence(clone: Clone) -> float:
    lock = yaml.safe_load((clone.scenario / "dvc.lock").read_text(encoding="utf-8"))
    return float(lock["stages"]["pose"]["params"]["config/config.yaml"]["paper"]["confidence"])


@pytest.mark.parametrize("guarded", [False, True], ids=["the fault without the guard", "the guard"])
def test_clone_pull_edit_repro(by_dvc: Clone, intervals: tuple[bytes, bytes], tmp_path: Path, guarded: bool) -> None:
    clone = by_dvc.clone(tmp_path / "clone")
    clone.run("dvc", "pull", "dvc.yaml")
    if not guarded:
        clone.edit("Snakefile", "distrust_outputs(workflow)\n", "")
    for moment, pattern in enumerate(("data/datasets/*.csv", "data/pairs/*", "results/pretrain/*", "results/pose/*")):
        for path in clone.scenario.glob(pattern):  # the clocks happen to be in order, so they say nothing
            os.utime(path, (1e9 + moment, 1e9 + moment))
    clone.edit(*CONFIDENCE)
    clone.run("dvc", "repro", "pose")
    assert locked_confidence(clone) == 0.5
    assert clone.stale("pose") == set()
    assert (clone.scenario / AVERAGE_PRECISION).read_bytes() == intervals[guarded]


def test_checkout_of_another_commit_then_edit(restored: Clone, intervals: tuple[bytes, bytes], tmp_path: Path) -> None:
    """Snakemake still holds the record of the newer commit, whose parameter the edit brings back."""
    clone = restored.copy(tmp_path / "checkout")
    clone.edit(*CONFIDENCE)
    clone.run("dvc", "repro", "pose")
    clone.git("commit", "--quiet", "--all", "--message", "another confidence")
    clone.git("checkout", "--quiet", "HEAD~1")
    clone.run("dvc", "checkout", "dvc.yaml")
    assert (clone.scenario / AVERAGE_PRECISION).read_bytes() == intervals[0]
    clone.edit(*CONFIDENCE)
    clone.run("dvc", "repro", "pose")
    assert (clone.scenario / AVERAGE_PRECISION).read_bytes() == intervals[1]
    assert locked_confidence(clone) == 0.5
