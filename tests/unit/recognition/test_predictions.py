"""Predictions of Table 4: files, the training hold-out, counting by source video; and the sheet of rows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dimofs.config import ConfigError
from dimofs.datasets.diving48 import Dive
from dimofs.datasets.records import DatasetError
from dimofs.metrics import top1
from dimofs.recognition.predictions import LABELS, hold_out, judge, read_predictions, source_video, write_predictions
from dimofs.recognition.rows import Row, read_rows

ROOT = Path(__file__).parents[3]


def dive(name: str, split: str = "test", label: int = 0) -> Dive:
    return Dive(name, split, Path(f"{name}.mp4"), label, 9)


DIVES = [dive("b_b_00002", label=3), dive("-a_00001", label=1), dive("b_b_00001", label=3)]


def scores_for(labels: list[int]) -> np.ndarray:
    return np.eye(LABELS)[labels]


def test_predictions_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    path, scores = tmp_path / "x.parquet", np.random.default_rng(0).normal(size=(3, LABELS))
    write_predictions(DIVES, scores, path)
    assert pd.read_parquet(path)["video"].to_list() == ["-a_00001", "b_b_00001", "b_b_00002"]
    for order in ([0, 1, 2], [2, 0, 1]):
        found = read_predictions(path, [DIVES[index] for index in order])
        np.testing.assert_array_equal(found, scores[order].astype(np.float32))


@pytest.mark.parametrize("scores", [np.zeros((2, LABELS)), np.zeros((3, LABELS - 1)), np.full((3, LABELS), np.inf)])
def test_bad_scores_are_not_written(tmp_path: Path, scores: np.ndarray) -> None:
    with pytest.raises(DatasetError, match=r"x\.parquet.*finite"):
        write_predictions(DIVES, scores, tmp_path / "x.parquet")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "others",
    [DIVES[:2], [*DIVES[:2], dive("b_b_00001", label=4)], [*DIVES, dive("c_00001")]],
    ids=["more", "label", "less"],
)
def test_predictions_of_other_dives_are_an_error(tmp_path: Path, others: list[Dive]) -> None:
    path = tmp_path / "x.parquet"
    write_predictions(DIVES, scores_for([0, 0, 0]), path)
    with pytest.raises(DatasetError, match=r"x\.parquet: is not of these"):
        read_predictions(path, others)


def test_a_file_without_predictions_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with pytest.raises(DatasetError, match="cannot be read"):
        read_predictions(path, DIVES)
    pd.DataFrame({"video": ["a_1"]}).to_parquet(path)
    with pytest.raises(DatasetError, match="cannot be read"):
        read_predictions(path, DIVES)


def test_hold_out_parts_training_dives_by_source_video() -> None:
    training = [dive(f"v{number % 7}_{number:05d}", "train") for number in range(50)]
    fitted, held = hold_out([*training, *DIVES])
    assert sorted(fitted + held, key=lambda one: one.name) == sorted(training, key=lambda one: one.name)
    assert {source_video(one) for one in held} == {"v0", "v5"}
    assert {source_video(one) for one in fitted} == {"v1", "v2", "v3", "v4", "v6"}
    assert hold_out(training[::-1])[1] == held[::-1]


def test_hold_out_needs_two_source_videos() -> None:
    with pytest.raises(DatasetError, match="fewer than two"):
        hold_out([dive("v_00001", "train"), dive("v_00002", "train"), *DIVES])


def test_judging_counts_by_source_video_and_class() -> None:
    counts = judge(scores_for([3, 1, 2]), DIVES)
    assert counts.total.shape == (2, LABELS)
    assert (counts.total[0, 1], counts.total[1, 3], counts.total.sum()) == (1, 2, 3)
    assert (counts.correct[0, 1], counts.correct[1, 3], counts.correct.sum()) == (1, 1, 2)
    overall, class_mean = top1(counts.correct.sum(0), counts.total.sum(0))[:2]
    assert overall == pytest.approx(100 * 2 / 3)
    assert class_mean == pytest.approx(75)


def test_the_sheet_lists_the_eleven_rows_of_the_paper() -> None:
    rows = read_rows(ROOT / "config/recognition.tsv")
    assert [row.paper_accuracy for row in rows] == [16.8, 20.3, 22.8, 17.2, 18.8, 21.4, 24.1, 21.4, 27.6, 28.9, 31.4]
    assert [row.dims for row in rows] == ["2D"] * 7 + ["3D"] * 4
    assert read_rows(ROOT / "scenarios/smoke/config/recognition.tsv") == rows


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("A\ta\t4D\tNone\t1", "line 2: field 'dims'"),
        ("A\ta\t2D\tNone\tmany", "line 2: field 'paper_accuracy'"),
        ("A\t\t2D\tNone\t1", "line 2: field 'name'"),
        ("A\ta\t2D\tNone\t1\nB\ta\t2D\tNone\t1", "different in every one"),
        ("", "must have rows"),
    ],
)
def test_a_bad_sheet_is_an_error(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "recognition.tsv"
    path.write_text(f"model\tname\tdims\tpretraining\tpaper_accuracy\n{line}\n")
    with pytest.raises(ConfigError, match=complaint):
        read_rows(path)


def test_a_missing_sheet_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_rows(tmp_path / "recognition.tsv")


def test_a_row_of_the_sheet() -> None:
    first = read_rows(ROOT / "config/recognition.tsv")[0]
    assert first == Row("TSN (RGB)", "tsn_rgb", "2D", "ImageNet (objects)", 16.8)


def test_a_source_video_is_the_name_without_its_last_number() -> None:
    """YouTube's ids may hold and begin with what parts id and number."""
    names = ("_aB9-_k_x2_00155", "_aB9-_k_x2_00007", "_zz_00001", "-mmq0PT-u8k_00155")
    assert [source_video(dive(name)) for name in names] == ["_aB9-_k_x2", "_aB9-_k_x2", "_zz", "-mmq0PT-u8k"]


def test_scores_of_another_vocabulary_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_predictions(DIVES, scores_for([0, 0, 0]), path)
    table = pd.read_parquet(path)
    table["scores"] = [row[:-1] for row in table["scores"]]
    table.to_parquet(path)
    with pytest.raises(DatasetError, match=rf"must list {LABELS} numbers"):
        read_predictions(path, DIVES)
