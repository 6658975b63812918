"""Verbs that no rule calls, and what all tables say of their data."""

from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
from typer.testing import CliRunner

from dimofs.cli import DATA, INITIAL_WEIGHTS, app
from dimofs.config import ConfigError, Datasets, Pretrain

CONFIG = Path(__file__).parents[2] / "config/config.yaml"
STREET = Path(__file__).parents[2] / "scenarios/street/config/config.yaml"


def run(*command: object) -> None:
    CliRunner().invoke(app, [str(word) for word in command], catch_exceptions=False)


def test_every_source_of_data_has_its_name() -> None:
    assert DATA.keys() == {*get_args(Datasets.model_fields["source"].annotation)}


def test_every_choice_of_initial_weights_has_its_words() -> None:
    assert INITIAL_WEIGHTS.keys() == {*get_args(Pretrain.model_fields["initial_weights"].annotation)}


@pytest.mark.parametrize(
    ("config", "named", "weights"),
    [
        (CONFIG, "embedded data", "embedded stills"),
        ("archives", "PoseTrack18 val", "embedded stills"),
        (STREET, "footage with pseudo-labels (a teacher's poses)", "the footage's training frames, one by one"),
    ],
)
def test_tables_name_the_data_that_they_are_on(tmp_path: Path, config: Path | str, named: str, weights: str) -> None:
    if isinstance(config, str):
        text = CONFIG.read_text(encoding="utf-8").replace("source: rendered", f"source: {config}")
        config = tmp_path / "config.yaml"
        config.write_text(text, encoding="utf-8")
    rows = [("detect_and_track", "filtered", "mota", "mean", 1.0, 0.0, 2.0, 1, None)]
    columns = ["linker", "operating_point", "metric", "joint", "value", "ci_low", "ci_high", "seeds", "sd"]
    tables = [pd.DataFrame(rows, columns=columns).assign(method=method) for method in ("single_frame", "dimofs")]
    pd.concat(tables).to_csv(tmp_path / "tracking.csv", index=False)
    pd.DataFrame(rows, columns=[*columns[:4], "difference", *columns[5:]]).to_csv(tmp_path / "gains.csv", index=False)
    files = ("--tracking", tmp_path / "tracking.csv", "--differences", tmp_path / "gains.csv")
    run("paper", "table2", "--config", config, *files, "--out", tmp_path / "table2.csv")
    table = pd.read_csv(tmp_path / "table2.csv")
    ours = table.query("source != 'paper'")
    assert len(ours) == 3
    assert ours["source"].str.startswith(named).all()
    assert set(ours["initial_weights"]) == {weights}
    assert table.query("source == 'paper'")["initial_weights"].isna().all()  # theirs do not start from ours


def test_files_of_other_seeds_lie_beside_those_of_the_first(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.read_text(encoding="utf-8").replace("seeds: [0]", "seeds: [0, 7]"))
    for name in ("still", "single_frame", "dimofs"):
        for run_name in ("", "-seed7"):
            pd.DataFrame({"step": [10], "val_map": [50.0]}).to_csv(tmp_path / f"{name}{run_name}.csv", index=False)
    options: list[object] = []
    for option, name in (("--still", "still"), ("--single-frame", "single_frame"), ("--dimofs", "dimofs")):
        options += [option, tmp_path / f"{name}.csv"]
    out = ("--out", tmp_path / "curves.pdf", "--png", tmp_path / "curves.png")
    run("paper", "training-curves", "--config", config, *options, *out)
    assert (tmp_path / "curves.png").stat().st_size > 0
    (tmp_path / "dimofs-seed7.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"dimofs-seed7\.csv"):
        run("paper", "training-curves", "--config", config, *options, *out)


def test_a_table_that_is_none_of_tracks_is_named(tmp_path: Path) -> None:
    table = tmp_path / "poses.parquet"
    pd.DataFrame({"video": ["a"]}).to_parquet(table)
    where = ("--annotations", tmp_path, "--out", tmp_path / "out")
    way = ("--linker", "keypoints", "--operating-point", "filtered")
    with pytest.raises(ConfigError, match=r"poses\.parquet: holds no tracks; give a table of `dimofs tracking link`"):
        run("tracking", "submit", "--config", CONFIG, "--tracks", table, *way, *where)
    with pytest.raises(ConfigError, match="no linker 'greedy'"):
        run("tracking", "submit", "--config", CONFIG, "--tracks", table, "--linker", "greedy", *way[2:], *where)


@pytest.mark.parametrize("names", [("posetrack18", "test"), ("foo", "train"), ("jhmdb", "split")])
def test_pairs_of_no_such_data_set_are_refused_by_name(tmp_path: Path, names: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match=rf"config\.yaml: pairs has no {'_'.join(names)}"):
        run("pairs", *names, "--config", CONFIG, "--dataset", tmp_path / "x.csv", "--out", tmp_path / "x.parquet")


def test_a_network_of_another_name_is_refused(tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["pretrain", "foo"])
    assert refused.exit_code == 2
    assert "still" in refused.output
