import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dimofs.datasets.manifest import write_manifest
from dimofs.datasets.records import POSETRACK_JOINTS, DatasetError
from dimofs.metrics import POSE_COLUMNS
from dimofs.paper.claims import judge_claims, paper_claims
from dimofs.paper.report import duration, job_times, machine, marks, write_report

CONFIG = Path(__file__).parents[3] / "config" / "config.yaml"


PARTS = ("table1.csv", "table2.csv", "table3.csv", "table4.csv", "motion.csv", "claims.csv", "figure7.png")


class Page(HTMLParser):
    """Reads a page: its words, whether tags are closed in order, and all that it would load."""

    VOID = ("meta", "link", "img")

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.loaded, self.tags, self.ids, self.links = [], [], [], [], [], []
        self.feed(text)
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.ids += [value for name, value in attributes if name == "id"]
        self.links += [value for name, value in attributes if tag == "a" and name == "href"]
        self.loaded += [
            v for name, v in attributes if name in ("src", "srcset", "data") or (tag, name) == ("link", "href")
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "title"} & set(self.open):
            self.words.append(data)


def write_results(results):
    """Small tables in the shape that the chapters write, and a picture for each figure."""
    for chapter in ("pose", "actions"):
        (results / chapter).mkdir(parents=True)
    rows = [
        (method, joint, 64.1, base, base - 1.5, base + 2.5, 30, 4, "data")
        for method, base in (("single_frame", 61.0), ("dimofs", 63.0), ("difference", 2.0))
        for joint in POSE_COLUMNS
    ]
    names = ["method", "joint", "paper_ap", "ap", "ci_low", "ci_high", "n_frames", "n_videos", "dataset"]
    pd.DataFrame(rows, columns=names).to_csv(results / "table1.csv", index=False)
    names = ["method", "source", "head", "mean", "ci_low", "ci_high"]
    rows = [
        ("dimofs, detect_and_track, filtered", "paper", 62.9, 56.0, None, None),
        ("difference, detect_and_track, filtered", "paper", 1.2, 0.8, None, None),
        ("dimofs, detect_and_track, filtered", "ours", 50.0, 48.0, 46.0, 51.0),
        ("difference, detect_and_track, filtered", "ours", 3.0, 2.0, -1.0, 4.0),
    ]
    pd.DataFrame(rows, columns=names).to_csv(results / "table2.csv", index=False)
    (results / "table3.csv").write_text(
        "column,dimofs_training,optical_flow,inflated_3d,delta,paper_map,map,ci_low,ci_high,n_frames\n"
        "1,no,no,yes,,43.8,30.0,28.0,32.0,100\n"
        "3 (frozen),no,no,no,10,44.7,40.0,38.0,42.0,100\n",
        encoding="utf-8",
    )
    (results / "table3_differences.csv").write_text(
        "difference,meaning,paper_difference,map_difference,ci_low,ci_high\n6 − 5,instead of flow,3.8,-7.0,-9.0,-4.0\n",
        encoding="utf-8",
    )
    (results / "table4.csv").write_text(
        "model,dims,pretraining,paper_accuracy,accuracy,ci_low,ci_high,class_mean,"
        "parameters,gflops_per_video,seconds_per_video\n"
        "Ours-final,2D,PoseTrack (poses),24.1,22.0,18.0,26.0,21.5,4553576,98.76,1.234\n"
        "Chance,,,,2.1,,,2.1,,,\n",
        encoding="utf-8",
    )
    rows = [
        (method, delta, joint, 60 - k * abs(delta), 55 - k * abs(delta), 65 - k * abs(delta), 30, 4)
        for method, k, deltas in (("single_frame", 0, (0,)), ("copy", 5, (-2, 0, 2)), ("dimofs", 1, (-2, 0, 2)))
        for delta in deltas
        for joint in POSE_COLUMNS
    ]
    names = ["method", "delta", "joint", "ap", "ci_low", "ci_high", "n_frames", "n_videos"]
    pd.DataFrame(rows, columns=names).to_csv(results / "pose" / "average_precision.csv", index=False)
    gains = pd.DataFrame(
        [["6", "4", "5", "3", "7"], ["6", "5", "-7", "-9", "-4"], ["4", "2", "1", "-1", "3"]],
        columns=["minuend", "subtrahend", "difference", "ci_low", "ci_high"],
    )
    judge_claims(paper_claims(), {"actions/differences.csv": gains}).to_csv(results / "claims.csv", index=False)
    rows = [
        (quantity, meaning, "pixels", method, against, delta, value, value - 1, value + 1, 6, 4, "data")
        for quantity, meaning, method, against, value in (
            ("joint_error", "error at joints", "read_out", "", 6.0),
            ("joint_error", "error at joints", "zero", "", 8.0),
            ("joint_error", "error at joints", "read_out", "zero", -2.0),
            ("people_error", "error on people", "read_out", "", 7.0),
            ("saliency_ratio", "saliency on people", "saliency_of_sum", "", 1.5),
            ("correlation", "correlation on people", "read_out", "farneback", 0.5),
        )
        for delta in (-5, 2, 5, 10)
    ]
    names = ["quantity", "meaning", "unit", "method", "against", "delta", "value", "ci_low", "ci_high", "pairs",
             "videos", "dataset"]  # fmt: skip
    pd.DataFrame(rows, columns=names).to_csv(results / "motion.csv", index=False)
    for name in ("figure3", "figure6", "figure7", "training_curves"):
        cv2.imwrite(str(results / f"{name}.png"), np.full((4, 6, 3), 200, np.uint8))


def write_dataset(root):
    """One validation video of three frames with a person, in the PoseTrack18 layout, and what was found in it."""
    names = [f"images/val/v/{frame:06d}.jpg" for frame in range(3)]
    (root / "images/val/v").mkdir(parents=True)
    (root / "annotations/val").mkdir(parents=True)
    for name in names:
        cv2.imwrite(str(root / name), np.full((64, 64, 3), 90, np.uint8))
    labels = {
        "images": [{"id": i, "file_name": name, "is_labeled": True} for i, name in enumerate(names)],
        "annotations": [{"image_id": i, "track_id": 0, "keypoints": [5, 5, 1] * 17} for i in range(3)],
        "categories": [{"keypoints": list(POSETRACK_JOINTS)}],
    }
    (root / "annotations/val/v.json").write_text(json.dumps(labels), encoding="utf-8")
    write_manifest(root, root.with_suffix(".csv"))
    rows = [("v", frame, delta, 0.9, np.arange(34, dtype=np.float32)) for frame in range(3) for delta in (0, 1)]
    return pd.DataFrame(rows, columns=["video", "frame", "delta", "score", "joints"])


def write_times(benchmarks):
    for chapter, name, record in (
        ("pretrain", "dimofs", {"s": 4000.0, "cpu_time": 3900.0, "max_rss": 1500.4}),
        ("pretrain", "still", {"s": 100.0, "cpu_time": 60.0, "max_rss": 900.0}),
        ("paper", "table1", {"s": 0.4, "cpu_time": None, "max_rss": "NA"}),
    ):
        (benchmarks / chapter).mkdir(parents=True, exist_ok=True)
        lines = ({"s": 1.0, "cpu_time": 1.0, "max_rss": 1.0}, record)
        (benchmarks / chapter / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    write_results(folder / "results")
    write_times(folder / "benchmarks")
    write_dataset(folder / "posetrack18").to_parquet(folder / "results" / "pose" / "dimofs.parquet")
    return render(folder)


def render(folder, config=CONFIG):
    out = folder / "out" / "report.html"
    inputs = (folder / "results", config, folder / "benchmarks", folder / "posetrack18.csv")
    write_report(*inputs, "embedded data, PoseTrack18 layout", "embedded data, JHMDB layout", out)
    return Page(out.read_text(encoding="utf-8"))


class TestWholePage:
    def test_it_loads_nothing(self, full):
        assert full.loaded
        assert all(uri.startswith("data:") for uri in full.loaded)
        assert "script" not in full.tags

    def test_pictures_of_figures_and_samples(self, full):
        kinds = [uri.partition(";")[0] for uri in full.loaded]
        assert kinds.count("data:image/png") == 4
        assert kinds.count("data:image/jpeg") == 3

    def test_links_lead_somewhere(self, full):
        inside = [link[1:] for link in full.links if link.startswith("#")]
        assert len(inside) == 9
        assert set(inside) <= set(full.ids)
        assert len(full.ids) == len(set(full.ids))

    def test_counts_and_verdicts_in_words_and_signs(self, full):
        claims = len(paper_claims())
        assert (
            f"Of the paper’s {claims} claims, this run reproduces 1, contradicts 1 and leaves 1 undecided." in full.text
        )
        assert f"For the other {claims - 3} there is nothing measured here." in full.text
        for shown, count in (
            ("✓ reproduced", 1),
            ("? not decided", 1),
            ("✗ contradicted", 1),
            ("– not run", claims - 3),
        ):
            assert full.text.replace("\xa0", " ").count(shown) == count + 1  # the tile, too
        assert (
            "DiMoFs beat explicit optical flow in the same network. §6.2, Table 3 > 0 3.8 −7.0 [−9.0, −4.0]"
            in full.text
        )

    def test_tables_hold_the_papers_values_and_ours(self, full):
        assert "Head 64.1 61.0 [59.5, 63.5] 64.1 63.0 [61.5, 65.5] +64.1 +2.0 [+0.5, +4.5]" in full.text
        assert "DiMoFs, detect and track, filtered paper 56.0 62.9" in full.text
        assert "DiMoFs, detect and track, filtered ours 48.0 [46.0, 51.0] 50.0" in full.text
        assert "Gain, detect and track, filtered ours +2.0 [−1.0, +4.0] +3.0" in full.text
        assert "1 no no ✓ yes – 43.8 30.0 [28.0, 32.0]" in full.text
        assert "3 (frozen) no no no 10 44.7 40.0 [38.0, 42.0]" in full.text
        assert "6 − 5 instead of flow +3.8 −7.0 [−9.0, −4.0]" in full.text

    def test_motion_is_shown_at_a_few_gaps_without_differences(self, full):
        assert (
            "What Of what δ = 5 δ = 10 error at joints, pixels read-out of DiMoFs 6.00 [5.00, 7.00] 6.00" in full.text
        )
        assert "no motion 8.00 [7.00, 9.00] 8.00 [7.00, 9.00] error on people, pixels read-out" in full.text
        assert "saliency on people, pixels magnitude of the sum 1.50 [0.50, 2.50]" in full.text
        assert "with Farnebäck flow 0.50 [−0.50, 1.50]" in full.text
        assert "−2.00" not in full.text

    def test_data_times_and_settings_are_named(self, full):
        assert "embedded data, PoseTrack18 layout" in full.text
        assert "pretrain 2 1 h 8 min 1 h 6 min 1500 MB" in full.text
        assert "paper/table1 0.4 s – –" in full.text
        assert "resamples: 10000" in full.text
        assert machine()["Python"] in full.text

    def test_table_4_has_costs_and_controls(self, full):
        row = "Ours-final 2D PoseTrack (poses) 24.1 22.0 [18.0, 26.0] 21.5 4.6 98.8 1.23"
        assert row in full.text
        assert "Chance – 2.1 2.1 – – –" in full.text

    def test_seeds_are_named_where_there_are_several(self, full, tmp_path):
        assert "Seed 0, of the trainings 0." in full.text
        assert "trained" not in full.text.partition("How to read")[2].partition("Poses")[0]
        config = tmp_path / "config.yaml"
        config.write_text(CONFIG.read_text(encoding="utf-8").replace("seeds: [0]", "seeds: [0, 5, 9]"))
        text = render(tmp_path, config).text
        assert "Seed 0, of the trainings 0, 5, 9." in text
        assert "The networks of poses, tracks and actions were trained 3 times" in text

    def test_nothing_is_left_out_and_nothing_undefined(self, full):
        assert "left out" not in full.text
        assert not re.search(r"\b(nan|None|undefined)\b", full.text)


class TestParts:
    def test_an_empty_run_is_a_page_that_says_so(self, tmp_path):
        page = render(tmp_path)
        for what in ("The verdicts are", "Table 1 is", "Table 2 is", "Table 3 is", "Table 4 is", "Figure 3 is",
                     "Figure 6 is", "Figure 7 is", "The measurements of motion are", "The training curves are",
                     "The sample detections are", "The ledger is", "Times are"):  # fmt: skip
            assert f"{what} left out" in page.text
        assert "snakemake results/table1.csv" in page.text
        assert "img" not in page.tags

    @pytest.mark.parametrize("part", PARTS)
    def test_one_part_is_left_out_alone(self, part, tmp_path):
        write_results(tmp_path / "results")
        (tmp_path / "results" / part).unlink()
        page = render(tmp_path)
        assert f"snakemake results/{part}" in page.text
        assert not [other for other in set(PARTS) - {part} if f"snakemake results/{other}" in page.text]

    def test_a_sweep_of_one_delta_has_no_curves(self, tmp_path):
        write_results(tmp_path / "results")
        path = tmp_path / "results" / "pose" / "average_precision.csv"
        assert "The same for each group of joints" in render(tmp_path).text
        pd.read_csv(path).query("delta == 0").to_csv(path, index=False)
        assert "The same for each group of joints" not in render(tmp_path).text

    def test_text_from_files_is_text(self, tmp_path):
        config = tmp_path / "config.yaml"
        config.write_text(f"# <script>alert('&')</script>\n{CONFIG.read_text(encoding='utf-8')}", encoding="utf-8")
        page = render(tmp_path, config)
        assert "<script>alert('&')</script>" in page.text
        assert "script" not in page.tags

    def test_a_ledger_of_other_claims(self, tmp_path):
        write_results(tmp_path / "results")
        path = tmp_path / "results" / "claims.csv"
        pd.read_csv(path).replace("pose-gain", "pose-loss").to_csv(path, index=False)
        with pytest.raises(DatasetError, match=r"claim pose-loss is not in claims.yaml"):
            render(tmp_path)

    def test_a_table_that_is_none(self, tmp_path):
        (tmp_path / "results").mkdir()
        (tmp_path / "results" / "table3.csv").touch()
        with pytest.raises(DatasetError, match=r"table3.csv: cannot be read as a table"):
            render(tmp_path)


class TestTimes:
    def test_the_last_record_of_each_job(self, tmp_path):
        write_times(tmp_path)
        times = job_times(tmp_path)
        assert times["job"].tolist() == ["paper/table1", "pretrain/dimofs", "pretrain/still"]
        assert times["wall"].tolist() == [0.4, 4000, 100]
        assert times.loc[0, ["processor", "memory"]].isna().all()

    @pytest.mark.parametrize("content", ["", "{", "[1]", '{"s": 1}', '{"s": "x", "cpu_time": 1, "max_rss": 1}'])
    def test_a_file_that_is_no_record(self, content, tmp_path):
        (tmp_path / "a.jsonl").write_text(content, encoding="utf-8")
        with pytest.raises(DatasetError, match=r"a.jsonl: is no benchmark of Snakemake"):
            job_times(tmp_path)

    @pytest.mark.parametrize(
        ("seconds", "words"),
        [(0.42, "0.4 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (725, "12 min 5 s"),
         (3599.7, "1 h 0 min"), (3780, "1 h 3 min"), (90000, "25 h 0 min"), (math.nan, "–")],
    )  # fmt: skip
    def test_durations(self, seconds, words):
        assert duration(seconds) == words


numbers = st.floats(-100, 100)


class TestMarks:
    @given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=4), numbers, st.booleans())
    def test_places_are_on_the_axis_and_keep_their_order(self, rows, paper, zero):
        placed = marks(rows, [paper] * len(rows), zero)
        values = [x for row in rows for x in row] + [paper] * len(rows)
        places = [x for mark in placed for x in (mark.value, mark.low, mark.high)] + [mark.paper for mark in placed]
        assert all(0 <= place <= 100 for place in places)
        for i, first in enumerate(values):
            for j, second in enumerate(values):
                if first < second:
                    assert places[i] <= places[j]

    def test_proportions(self):
        (mark,) = marks([(2, 1, 4)], [-4], zero=True)
        assert mark.high - mark.value == pytest.approx(2 * (mark.value - mark.low), abs=0.03)
        assert mark.zero == 50
        assert mark.paper < mark.zero < mark.low

    def test_a_region_without_end_reaches_the_end_of_the_axis(self):
        (mark,) = marks([(2, 1, 4)], [math.nan], zero=False, region=(0, math.inf))
        assert mark.region[1] == 100
        assert 0 < mark.region[0] < mark.low
        assert mark.paper is None

    def test_no_mark_without_an_interval(self):
        first, second = marks([(2, math.nan, math.nan), (2, 1, 4)], [3, 3], zero=False)
        assert first is None
        assert second is not None
        assert marks([(math.nan,) * 3], [math.nan], zero=False) == [None]

    def test_one_value_alone(self):
        (mark,) = marks([(2, 2, 2)], [2], zero=False)
        assert (mark.low, mark.value, mark.high, mark.paper) == (50, 50, 50, 50)
