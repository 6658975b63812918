import io

import numpy as np
import pandas as pd
import pytest

from dimofs.actions.ablations import ActionTraining, Column
from dimofs.actions.evaluate import PAPER_DIFFERENCES
from dimofs.datasets.records import DatasetError
from dimofs.metrics import POSE_COLUMNS
from dimofs.motion.evaluate import quantities
from dimofs.paper.tables import (
    MOTION_MEANINGS,
    motion_table,
    sweep_table,
    table1,
    table2,
    table3,
    table3_differences,
    table4,
)
from dimofs.recognition.rows import Row


def average_precision():
    rows = [
        (method, delta, joint, base + delta + j, base + delta + j - 1, base + delta + j + 2, 30, 4, 3, base / 100)
        for method, base in (("single_frame", 50.0), ("copy", 20.0), ("dimofs", 60.0))
        for delta in ((0,) if method == "single_frame" else (-1, 0, 1))
        for j, joint in enumerate(POSE_COLUMNS)
    ]
    names = ["method", "delta", "joint", "ap", "ci_low", "ci_high", "n_frames", "n_videos", "seeds", "sd"]
    return pd.DataFrame(rows, columns=names)


def differences():
    rows = [
        (method, delta, "single_frame", 0, joint, base + delta + j, base + j - 3, base + j + 4, 3, 0.25)
        for method, base in (("copy", -30.0), ("dimofs", 10.0))
        for delta in (-1, 0, 1)
        for j, joint in enumerate(POSE_COLUMNS)
    ]
    names = ["minuend", "minuend_delta", "subtrahend", "subtrahend_delta", "joint", "difference", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=[*names, "seeds", "sd"])


class TestTable1:
    table = table1(average_precision(), differences(), "embedded data")

    def test_columns_and_rows(self):
        names = ["method", "joint", "paper_ap", "ap", "ci_low", "ci_high", "n_frames", "n_videos", "dataset"]
        assert list(self.table.columns) == [*names, "seeds", "sd"]
        assert self.table["method"].tolist() == ["single_frame"] * 8 + ["dimofs"] * 8 + ["difference"] * 8
        assert self.table["joint"].tolist() == list(POSE_COLUMNS) * 3
        assert set(self.table["dataset"]) == {"embedded data"}

    def test_the_papers_rows_are_verbatim(self):
        paper = self.table["paper_ap"].to_numpy().reshape(3, 8)
        assert paper[0].tolist() == [72.8, 75.6, 65.3, 54.3, 63.5, 60.9, 51.8, 64.1]
        assert paper[1].tolist() == [75.2, 78.5, 66.8, 56.0, 66.7, 62.7, 54.0, 66.3]
        assert paper[2].tolist() == [2.4, 2.9, 1.5, 1.7, 3.2, 1.8, 2.2, 2.2]

    def test_ours_is_at_delta_0(self):
        ours = self.table["ap"].to_numpy().reshape(3, 8)
        np.testing.assert_array_equal(ours, np.array([[50.0], [60.0], [10.0]]) + np.arange(8))
        np.testing.assert_array_equal(self.table["ci_low"][:16], self.table["ap"][:16] - 1)

    def test_the_gain_has_its_own_paired_interval(self):
        gain = self.table[self.table["method"] == "difference"]
        np.testing.assert_array_equal(gain["ci_low"], gain["ap"] - 3)
        np.testing.assert_array_equal(gain["ci_high"], gain["ap"] + 4)
        assert (gain["n_frames"] == 30).all()
        assert (gain["n_videos"] == 4).all()

    def test_seeds_and_their_spread(self):
        assert self.table["seeds"].tolist() == [3] * 24
        assert self.table["sd"].tolist() == [0.5] * 8 + [0.6] * 8 + [0.25] * 8


def ablation(name, motion="offsets", dimofs=False, inflated=False, delta=0, paper_map=50.0):
    training = ActionTraining("t", "still", motion, motion == "offsets", inflated)
    return Column(name, training, dimofs, None if inflated else delta, paper_map)


ABLATIONS = [
    ablation("1", "none", inflated=True, paper_map=43.8),
    ablation("5", "flow", delta=10, paper_map=50.6),
    ablation("6", dimofs=True, delta=10, paper_map=54.4),
    ablation("3 (frozen)", delta=10, paper_map=44.7),
]
SCORED = pd.DataFrame(
    {
        "column": ["6", "5", "3 (frozen)", "1"],
        "training": "t",
        "delta": [10, 10, 10, None],
        "map": [60.25, 50.5, 40.0, 30.0],
        "ci_low": [58.0, 48.0, 38.0, 28.0],
        "ci_high": [62.0, 52.0, 42.0, 32.0],
        "n_frames": 100,
        "seeds": 1,
        "sd": np.nan,
    }
)


def tracking():
    """Values that tell apart method, linker, point, metric and joint by their digits."""
    rows = [
        (method, linker, point, metric, joint, value, value - 1, value + 2, 30, 4, 3, value / 8)
        for m, method in enumerate(("single_frame", "dimofs"))
        for k, (linker, point) in enumerate((("detect_and_track", "filtered"), ("keypoints", "unfiltered")))
        for n, metric in enumerate(("ap", "mota"))
        for j, joint in enumerate(POSE_COLUMNS)
        for value in [1000.0 * n + 100 * m + 10 * k + j]
    ]
    names = ["method", "linker", "operating_point", "metric", "joint", "value", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=[*names, "n_frames", "n_videos", "seeds", "sd"])


def tracking_differences():
    table = tracking().query("method == 'dimofs'").drop(columns=["method", "n_frames", "n_videos"])
    gains = table.rename(columns={"value": "difference"}).assign(minuend="dimofs", subtrahend="single_frame")
    return gains.assign(difference=gains["difference"] + 5000, ci_low=-3.0, ci_high=gains["difference"] + 5001)


class TestTable2:
    table = table2(tracking(), tracking_differences(), "embedded data")

    def test_columns_and_rows(self):
        names = ["method", "source", "head", "shou", "elbo", "wri", "hip", "knee", "ank", "mean", "ci_low", "ci_high"]
        assert list(self.table.columns) == [*names, "seeds", "sd"]
        first = [f"{method}, detect_and_track, filtered" for method in ("single_frame", "dimofs", "difference")]
        second = [f"{method}, keypoints, unfiltered" for method in ("single_frame", "dimofs", "difference")]
        assert self.table["method"].tolist() == [*first, *first, *second]
        assert self.table["source"].tolist() == ["paper"] * 3 + ["embedded data"] * 6

    def test_the_papers_rows_are_verbatim(self):
        paper = self.table.loc[:2, "head":"mean"].to_numpy()
        assert paper[0].tolist() == [61.7, 65.5, 57.3, 45.7, 54.3, 53.1, 45.7, 55.2]
        assert paper[1].tolist() == [62.9, 67.2, 57.4, 45.8, 55.5, 53.5, 46.5, 56.0]
        assert paper[2].tolist() == [1.2, 1.7, 0.1, 0.1, 1.2, 0.4, 0.8, 0.8]
        assert self.table.loc[:2, ["ci_low", "ci_high", "seeds", "sd"]].isna().all(axis=None)

    def test_ours_is_mota_with_the_interval_of_the_mean(self):
        ours = self.table.loc[3:, "head":"mean"].to_numpy()
        first = np.array([1000.0, 1100, 6100, 1010, 1110, 6110])
        np.testing.assert_array_equal(ours, first[:, None] + np.arange(8))
        assert self.table.loc[3, ["ci_low", "ci_high", "seeds", "sd"]].tolist() == [1006, 1009, 3, 1007 / 8]
        assert self.table.loc[5, ["ci_low", "ci_high"]].tolist() == [-3, 6108]


class TestTable3:
    def test_the_file(self):
        lines = table3(ABLATIONS, SCORED).to_csv(index=False).splitlines()
        assert lines == [
            "column,dimofs_training,optical_flow,inflated_3d,delta,paper_map,map,ci_low,ci_high,n_frames,seeds,sd",
            "1,no,no,yes,,43.8,30.0,28.0,32.0,100,1,",
            "5,no,yes,no,10,50.6,50.5,48.0,52.0,100,1,",
            "6,yes,no,no,10,54.4,60.25,58.0,62.0,100,1,",
            "3 (frozen),no,no,no,10,44.7,40.0,38.0,42.0,100,1,",
        ]

    def test_numbered_columns_alone_are_read_from_a_file_as_numbers(self):
        numbered = SCORED.iloc[[0, 1, 3]]
        read = pd.read_csv(io.StringIO(numbered.to_csv(index=False)))
        assert table3(ABLATIONS[:3], read)["map"].tolist() == [30.0, 50.5, 60.25]

    def test_a_column_that_was_not_scored(self):
        with pytest.raises(DatasetError, match=r"no value for column 6, 3 \(frozen\) of the ablations"):
            table3(ABLATIONS, SCORED.iloc[[1, 3]])


class TestTable4:
    ROWS = (
        Row("Ours", "final", "2D", "PoseTrack (poses)", 24.1),
        Row("R(2+1)D", "r2plus1d_pretrained", "3D", "Kinetics (actions)", 28.9),
        Row("Both", "fusion", "3D", "Kinetics + PoseTrack", 31.4),
    )
    JUDGED = pd.DataFrame(
        [
            ("final", 24.0, 20, 28, 23.5),
            ("r2plus1d_pretrained", 30.0, 27, 33, 29.5),
            ("fusion", 32.0, 29, 35, 31.0),
            ("scene_only", 2.0, 1, 5, 2.25),
            ("chance", 2.125, None, None, 2.125),
        ],
        columns=["name", "accuracy", "ci_low", "ci_high", "class_mean"],
    )
    COSTS = pd.DataFrame(
        [("final", 4_000_000, 90.5, 1.5), ("r2plus1d_pretrained", 31_000_000, 40.0, 2.0), ("other", 1, 1.0, 1.0)],
        columns=["name", "parameters", "gflops_per_video", "seconds_per_video"],
    )

    def test_the_file(self):
        assert table4(self.ROWS, self.JUDGED, self.COSTS).to_csv(index=False).splitlines() == [
            "model,dims,pretraining,paper_accuracy,accuracy,ci_low,ci_high,class_mean,"
            "parameters,gflops_per_video,seconds_per_video",
            "Ours,2D,PoseTrack (poses),24.1,24.0,20.0,28.0,23.5,4000000,90.5,1.5",
            "R(2+1)D,3D,Kinetics (actions),28.9,30.0,27.0,33.0,29.5,31000000,40.0,2.0",
            "Both,3D,Kinetics + PoseTrack,31.4,32.0,29.0,35.0,31.0,35000000,130.5,3.5",
            '"Scene alone, the diver hidden",,,,2.0,1.0,5.0,2.25,,,',
            "Chance,,,,2.125,,,2.125,,,",
        ]

    def test_a_row_that_was_not_judged(self):
        with pytest.raises(DatasetError, match="no accuracy of final"):
            table4(self.ROWS, self.JUDGED.iloc[1:], self.COSTS)

    def test_a_cost_that_is_missing_or_stands_twice(self):
        with pytest.raises(DatasetError, match="no cost of r2plus1d_pretrained, fusion"):
            table4(self.ROWS, self.JUDGED, self.COSTS.iloc[[0, 2]])
        with pytest.raises(DatasetError, match="other stands twice"):
            table4(self.ROWS, self.JUDGED, self.COSTS.iloc[[0, 1, 2, 2]])


class TestTable3Differences:
    def make(self, *pairs):
        rows = [(a, b, 5.3, 7.0, 4.0, 9.0, 2, 0.5) for a, b in pairs]
        names = ["minuend", "subtrahend", "paper_difference", "difference", "ci_low", "ci_high", "seeds", "sd"]
        return table3_differences(pd.DataFrame(rows, columns=names))

    def test_columns(self):
        table = self.make(("4", "2"))
        assert table.to_csv(index=False).splitlines() == [
            "difference,meaning,paper_difference,map_difference,ci_low,ci_high,seeds,sd",
            '4 − 2,"DiMoFs training, δ = 0",5.3,7.0,4.0,9.0,2,0.5',
        ]

    def test_every_difference_of_the_paper_has_a_meaning_of_its_own(self):
        assert self.make(*PAPER_DIFFERENCES)["meaning"].nunique() == len(PAPER_DIFFERENCES)

    def test_a_second_reading_is_named(self):
        table = self.make(("6", "3 (frozen)"), ("3 (frozen)", "2 (frozen)"))
        assert table["difference"].tolist() == ["6 − 3 (frozen)", "3 (frozen) − 2 (frozen)"]
        assert table["meaning"].str.endswith(" (frozen)").all()


class TestMotion:
    def test_every_figure_of_merit_is_explained(self):
        sizes = {"moments": 7, "gram": 1, "following": 14, "channel_energy": 14, "flow_energy": 14}
        with np.errstate(all="ignore"):
            sums = list(quantities(lambda name: np.ones((1, sizes.get(name.split("/")[0], 1))), surface=True))
        found = {quantity for (quantity, _, _), _ in sums}
        assert found == set(MOTION_MEANINGS)

    def test_rows_keep_their_values_and_say_what_they_mean(self):
        row = ("people_gain", "read_out", "zero", 5, 20.0, 10.0, 30.0, 96, 24)
        names = ["quantity", "method", "against", "delta", "value", "ci_low", "ci_high", "pairs", "videos"]
        table = motion_table(pd.DataFrame([row], columns=names), "the data")
        assert list(table.columns) == ["quantity", "meaning", "unit", *names[1:], "dataset"]
        assert table[names].to_numpy().tolist() == [list(row)]
        assert table[["unit", "dataset"]].to_numpy().tolist() == [["%", "the data"]]


class TestSweep:
    table = sweep_table(average_precision(), differences(), "embedded data").set_index(["method", "delta"])

    def test_one_row_for_each_method_and_delta(self):
        paired = [(method, delta) for method in ("copy", "dimofs") for delta in (-1, 0, 1)]
        assert [*self.table.index] == [("single_frame", 0), *paired]
        assert set(self.table["dataset"]) == {"embedded data"}

    def test_values_are_those_of_the_mean_with_their_changes(self):
        mean = list(POSE_COLUMNS).index("mean")
        row = self.table.loc[("dimofs", 1)]
        assert row[["ap", "ci_low", "ci_high"]].tolist() == [61 + mean, 60 + mean, 63 + mean]
        assert row[["change", "change_ci_low", "change_ci_high"]].tolist() == [11 + mean, 7 + mean, 14 + mean]
        assert row[["n_frames", "n_videos", "seeds", "sd"]].tolist() == [30, 4, 3, 0.6]
        assert self.table.loc[("single_frame", 0), ["change", "change_ci_low", "change_ci_high"]].isna().all()


def test_the_gain_of_table_1_is_over_the_single_frame_whatever_else_is_compared():
    others = differences().query("minuend == 'dimofs'").assign(subtrahend="copy", difference=-1.0)
    table = table1(average_precision(), pd.concat([others, differences()], ignore_index=True), "embedded data")
    pd.testing.assert_frame_equal(table, TestTable1.table)
