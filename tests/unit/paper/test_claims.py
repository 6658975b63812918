import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dimofs.actions.ablations import read_columns
from dimofs.actions.evaluate import evaluate_columns, evaluate_sweep
from dimofs.config import ConfigError, Paper, load_config
from dimofs.datasets.records import JHMDB_JOINTS, POSETRACK_JOINTS, DatasetError, Frame, Person, Video
from dimofs.metrics import POSE_COLUMNS
from dimofs.motion.evaluate import MOTIONS, SALIENCIES, evaluate_motion
from dimofs.motion.measure import channel_sums, discrimination_sums, joint_sums, saliency_sums, surface_sums
from dimofs.paper.claims import COLUMNS, Claim, check_claims, in_words, judge_claims, paper_claims, read_tables
from dimofs.paper.reference import paper_value
from dimofs.pose.evaluate import evaluate_pose
from dimofs.tracking.evaluate import evaluate_tracking
from dimofs.tracking.link import link


def claim(test=None, paper=2.2, row=None, **changes):
    entry = {
        "id": "gain",
        "section": "§6.1",
        "statement": "It gains.",
        "paper": paper,
        "measured": {"table": "pose/differences.csv", "row": row or {"joint": "mean"}, "column": "difference"},
        "test": test or {"more_than": 0},
    }
    return entry | changes


def tables(*rows):
    """Rows (joint, difference, ci_low, ci_high) as `read_tables` gives them."""
    table = pd.DataFrame(rows, columns=["joint", "difference", "ci_low", "ci_high"]).astype(str).replace("nan", "")
    return {"pose/differences.csv": table}


def verdict(test, low, high, paper=2.2):
    ledger = judge_claims(check_claims([claim(test, paper)], "f"), tables(("mean", (low + high) / 2, low, high)))
    return ledger["verdict"].item()


class TestVerdicts:
    @pytest.mark.parametrize(
        ("test", "low", "high", "expected"),
        [
            ({"more_than": 0}, 0.1, 3, "reproduced"),
            ({"more_than": 0}, 0, 3, "not decided"),
            ({"more_than": 0}, -1, 3, "not decided"),
            ({"more_than": 0}, -3, 0, "contradicted"),
            ({"more_than": 0}, 0, 0, "contradicted"),
            ({"less_than": 0}, -3, -0.1, "reproduced"),
            ({"less_than": 0}, -3, 0, "not decided"),
            ({"less_than": 0}, 0, 3, "contradicted"),
            ({"at_least": "paper"}, 2.2, 3, "reproduced"),
            ({"at_least": "paper"}, 1, 2.2, "not decided"),
            ({"at_least": "paper"}, 1, 2.1, "contradicted"),
            ({"at_least": -1}, -1, 3, "reproduced"),
            ({"at_most": "paper"}, -5, 2.2, "reproduced"),
            ({"at_most": "paper"}, 2.3, 4, "contradicted"),
            ({"at_most": 1}, 0, 2, "not decided"),
            ({"within": 2}, 0.25, 4.125, "reproduced"),
            ({"within": 2}, -5, 2.2, "not decided"),
            ({"within": 2}, -5, 9, "not decided"),
            ({"within": 2}, 4.5, 9, "contradicted"),
            ({"within": 2}, -9, 0.1, "contradicted"),
        ],
    )
    def test_the_whole_interval_decides(self, test, low, high, expected):
        assert verdict(test, low, high) == expected

    @given(
        st.sampled_from(["more_than", "less_than", "at_least", "at_most", "within"]),
        st.floats(0.5, 5),
        st.tuples(*[st.floats(-9, 9)] * 2).map(sorted),
        st.tuples(*[st.floats(0, 1)] * 2).map(sorted),
    )
    def test_a_narrower_interval_never_turns_a_verdict_round(self, kind, bound, wide, shares):
        """Verdicts are about the interval: what holds or fails for all of it does so for any part."""
        low, high = wide
        inner = sorted(min(max(low + share * (high - low), low), high) for share in shares)
        outer = verdict({kind: bound}, low, high)
        assert outer in (verdict({kind: bound}, *inner), "not decided")

    def test_no_verdict_without_an_interval(self):
        ledger = judge_claims(check_claims([claim()], "f"), tables(("mean", 50, math.nan, math.nan)))
        assert ledger[["measured", "verdict"]].to_numpy().tolist() == [[50, "not decided"]]

    def test_no_table_and_no_row_are_not_run(self):
        for found in ({}, tables(("head", 5, 4, 6))):
            ledger = judge_claims(check_claims([claim()], "f"), found)
            assert ledger["verdict"].item() == "not run"
            assert ledger[["measured", "ci_low", "ci_high"]].isna().all(axis=None)

    def test_the_ledger(self):
        ledger = judge_claims(check_claims([claim(), claim(id="none", paper=None)], "f"), tables(("mean", 5, 4, 6)))
        assert tuple(ledger.columns) == COLUMNS
        assert ledger.to_csv(index=False).splitlines()[1:] == [
            "gain,§6.1,It gains.,2.2,5.0,4.0,6.0,reproduced",
            "none,§6.1,It gains.,,5.0,4.0,6.0,reproduced",
        ]


class TestSeveralRows:
    def judge(self, *rows, joints=("head", "knee", "ank")):
        ledger = judge_claims(check_claims([claim(row={"joint": list(joints)})], "f"), tables(*rows))
        return ledger[["measured", "verdict"]].iloc[0].tolist()

    def test_all_must_hold_and_the_weakest_is_shown(self):
        rows = (("head", 5, 4, 6), ("knee", 3, 0.5, 5), ("ank", 2, 1, 3), ("mean", -9, -9, -9))
        assert self.judge(*rows) == [3, "reproduced"]

    def test_one_that_is_open_leaves_the_claim_open(self):
        assert self.judge(("head", 5, 4, 6), ("knee", 1, -1, 2), ("ank", 2, 1, 3)) == [1, "not decided"]

    def test_one_that_fails_contradicts_even_beside_one_with_a_wider_interval(self):
        assert self.judge(("head", 5, 4, 6), ("knee", 1, -9, 9), ("ank", -2, -3, -1)) == [-2, "contradicted"]

    def test_one_that_is_missing_is_not_run(self):
        measured, verdict = self.judge(("head", 5, 4, 6), ("knee", 1, 1, 2))
        assert math.isnan(measured)
        assert verdict == "not run"


class TestErrors:
    @pytest.mark.parametrize(
        ("entry", "message"),
        [
            (claim(test={"more_than": 0, "less_than": 3}), "claim gain: field test: .*exactly one of"),
            (claim(test={}) | {"test": {}}, "claim gain: field test: .*exactly one of"),
            (claim(test={"greater": 0}), "claim gain: field test.greater"),
            (claim(test={"within": 0}), "claim gain: field test.within"),
            (claim(test={"at_least": "papers"}), "claim gain: field test.at_least"),
            (claim(test={"at_least": "paper"}, paper=None), "claim gain: .*but paper is null"),
            (claim(test={"within": 1}, paper=None), "claim gain: .*but paper is null"),
            (claim(paper="high"), "claim gain: field paper"),
            (claim(row={"joint": [1.5]}), "claim gain: field measured.row.joint"),
            (claim(colour="red"), "claim gain: field colour"),
            ({key: value for key, value in claim().items() if key != "id"}, "claim number 1: field id"),
            ("gain", "claim number 1"),
        ],
    )
    def test_a_bad_claim_is_named_with_its_field(self, entry, message):
        with pytest.raises(ConfigError, match=f"claims.yaml: {message}"):
            check_claims([entry], "claims.yaml")

    def test_a_claim_that_stands_twice(self):
        with pytest.raises(ConfigError, match="claim gain: field id: stands twice"):
            check_claims([claim(), claim()], "claims.yaml")

    def test_no_list(self):
        with pytest.raises(ConfigError, match="must be a list"):
            check_claims({"gain": claim()}, "claims.yaml")

    def test_a_table_without_a_named_column(self):
        with pytest.raises(DatasetError, match=r"pose/differences.csv: has no column delta, which claim gain names"):
            judge_claims(check_claims([claim(row={"delta": 0})], "f"), tables(("mean", 1, 0, 2)))

    def test_a_value_that_is_no_number(self):
        with pytest.raises(DatasetError, match=r"pose/differences.csv: claim gain needs numbers .*'good'"):
            judge_claims(check_claims([claim()], "f"), tables(("mean", "good", 0, 2)))


class TestReading:
    def test_cells_are_read_as_they_stand(self, tmp_path):
        path = tmp_path / "actions" / "differences.csv"
        path.parent.mkdir()
        path.write_text("minuend,delta,value\n6,-10,NA\n3 (frozen),,1.5\n", encoding="utf-8")
        read = read_tables(tmp_path, [path])
        assert list(read) == ["actions/differences.csv"]
        assert read["actions/differences.csv"].to_numpy().tolist() == [["6", "-10", "NA"], ["3 (frozen)", "", "1.5"]]

    def test_faults(self, tmp_path):
        with pytest.raises(DatasetError, match=r"a.csv: cannot be read as a table"):
            read_tables(tmp_path, [tmp_path / "a.csv"])
        (tmp_path / "a.csv").touch()
        with pytest.raises(DatasetError, match=r"a.csv: cannot be read as a table"):
            read_tables(tmp_path, [tmp_path / "a.csv"])
        with pytest.raises(DatasetError, match="is not under"):
            read_tables(tmp_path / "results", [tmp_path / "a.csv"])


class TestThePapersClaims:
    claims = paper_claims()

    def test_there_are_claims_of_every_part(self):
        assert len(self.claims) >= 28
        sections = " ".join(claim.section for claim in self.claims)
        for part in ("§4", "Figure 3", "Table 1", "Figure 6", "Table 2", "Figure 7", "Table 3", "Table 4"):
            assert part in sections

    def test_values_are_those_of_the_reference(self):
        paper = {claim.id: claim.paper for claim in self.claims}
        gains = [paper_value("table1", "dimofs", j) - paper_value("table1", "single_frame", j) for j in POSE_COLUMNS]
        copy, dimofs = (paper_value("figure6", method, "drop_at_10") for method in ("copy", "dimofs"))
        assert paper["pose-gain"] == paper["pose-gain-size"] == pytest.approx(gains[-1])
        assert paper["pose-gain-every-joint"] == pytest.approx(min(gains))
        assert paper["pose-copy-fails"] == copy
        assert paper["pose-graceful-drop"] == paper["pose-graceful-drop-own"] == dimofs
        assert paper["pose-beats-copy"] == pytest.approx(dimofs - copy)
        columns = {
            (claim.measured.row["minuend"], claim.measured.row["subtrahend"]): claim.paper
            for claim in self.claims
            if claim.measured.table == "actions/differences.csv"
        }
        assert columns == {
            pair: paper_value("table3", f"{pair[0]}-{pair[1]}", "difference")
            for pair in ((6, 1), (4, 2), (6, 3), (6, 4), (3, 2), (6, 5))
        }

    @pytest.mark.parametrize("claim", claims, ids=lambda claim: claim.id)
    def test_the_papers_own_value_satisfies_the_test(self, claim: Claim):
        """The paper's value as an interval of no width: a claim that contradicts itself is misstated."""
        if claim.paper is None:
            return
        row = {name: cells if isinstance(cells, list) else [cells] for name, cells in claim.measured.row.items()}
        table = pd.MultiIndex.from_product(row.values(), names=row).to_frame(index=False).astype(str)
        table[[claim.measured.column, "ci_low", "ci_high"]] = str(claim.paper)
        assert judge_claims([claim], {claim.measured.table: table})["verdict"].item() == "reproduced"

    def test_in_words(self):
        words = {claim.id: in_words(claim) for claim in self.claims}
        assert words["pose-gain"] == "> 0"
        assert words["pose-graceful-drop"] == "≥ −6.1"
        assert words["pose-copy-fails"] == "≤ −56.5"
        assert words["pose-falls-with-delta"] == "< 0"
        assert words["actions-motion-without"] == "within 2 of 0.4"


def video(split, joint_names, label):
    """Eleven frames with one person each."""
    person = Person(
        1,
        np.array([0, 0, 9, 9], np.float32),
        np.array([0, 0, 3, 4], np.float32),
        np.zeros((len(joint_names), 2), np.float32),
        np.ones(len(joint_names), bool),
    )
    frames = tuple(Frame(Path(f"{frame}.jpg"), True, (person,), ()) for frame in range(11))
    return Video(f"{split}/{label}", split, joint_names, frames, label)


def pairs(video, deltas):
    rows = [(video.split, video.name, a, min(max(a + d, 0), 10), d, False) for d in deltas for a in range(11)]
    return pd.DataFrame(rows, columns=["split", "video", "frame_a", "frame_b", "delta", "clamped"])


def motion_sums():
    """What is counted about one pair, in which one person and one thing move alike."""
    generator = np.random.default_rng(0)
    exact = generator.normal(2, 0.5, (8, 8, 2)).astype(np.float32)
    people, things = np.zeros((2, 8, 8), bool)
    people[:4], things[4:6] = True, True
    motions = {name: exact + generator.normal(0, 1, exact.shape).astype(np.float32) for name in MOTIONS}
    maps = {name: generator.random((8, 8)) for name in (*SALIENCIES, *MOTIONS)}
    joints = generator.normal(3, 1, (2, 5, 2)).astype(np.float32)
    sums = {
        "pairs": 1.0,
        **joint_sums(motions, *joints),
        **surface_sums(motions, exact, people),
        **saliency_sums({name: maps[name] for name in SALIENCIES}, people),
        **discrimination_sums(maps, np.full((8, 8), 3.0), people, things),
        **channel_sums(generator.normal(size=(3, 2, 2, 2)).astype(np.float32), 4.0, exact, people.astype(np.uint8)),
    }
    return {name: value.ravel() if isinstance(value, np.ndarray) else value for name, value in sums.items()}


def test_the_chapters_that_exist_make_every_row_that_claims_name(tmp_path):
    """What their evaluations write, read back as the ledger reads it: no claim about them is left without a value."""
    settings = Paper(resamples=5, confidence=0.95)
    val, clip = video("val", POSETRACK_JOINTS, None), video("test", JHMDB_JOINTS, 0)
    found = pairs(val, (-10, 0, 10)).rename(columns={"frame_a": "frame"})
    found = found.assign(score=0.5, joints=[np.zeros(34)] * len(found), joint_scores=[np.zeros(17)] * len(found))
    single = found[found["delta"] == 0]
    _, pose = evaluate_pose([val], pairs(val, (-10, 0, 10)), [single], [found], "shoulders", "joint", settings, 0)

    chapter = load_config(Path(__file__).parents[3] / "config" / "config.yaml").tracking
    everywhere = single.assign(box=[np.array([0, 0, 9, 9.0])] * len(single))
    point = chapter.operating_points.unfiltered
    linked = link(everywhere, chapter.linkers.detect_and_track, point)
    linked = linked.assign(linker="detect_and_track", operating_point="unfiltered")
    points = dict(chapter.operating_points)
    _, tracking = evaluate_tracking([val], [linked], [linked], points, "shoulders", "joint", settings, 0)

    deltas = range(0, 41, 2)
    boxes = pairs(clip, deltas).rename(columns={"frame_a": "frame"})
    boxes = boxes.assign(score=0.5, label=0, box=[np.array([0, 0, 9, 9.0])] * len(boxes))
    ablations = read_columns(Path(__file__).parents[3] / "config" / "ablations.tsv")
    trainings = {column.training.name: [boxes] for column in ablations}
    _, columns = evaluate_columns([clip], ablations, trainings, settings, 0)
    _, sweep = evaluate_sweep([clip], pairs(clip, deltas), {"dimofs": [boxes]}, settings, 0)

    motion = evaluate_motion(
        pd.DataFrame([{"video": "v", "delta": d, **motion_sums()} for d in (-10, 10)]), settings, 0
    )

    written = {
        "pose/differences.csv": pose,
        "motion/quantities.csv": motion,
        "tracking/differences.csv": tracking,
        "actions/differences.csv": columns,
        "actions/sweep_differences.csv": sweep,
    }
    for name, table in written.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        table.to_csv(tmp_path / name, index=False)
    ledger = judge_claims(paper_claims(), read_tables(tmp_path, [tmp_path / name for name in written]))
    named = {claim.id for claim in paper_claims() if claim.measured.table in written}
    assert len(named) == 27
    assert set(ledger.loc[ledger["verdict"] != "not run", "claim"]) == named
