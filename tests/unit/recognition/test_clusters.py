"""Clusters: poses free of place and size, balanced blocks, k-means, what is told about them."""

import re
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from dimofs.config import Clusters
from dimofs.datasets.records import LABELLED_JOINTS
from dimofs.recognition.clusters import KINDS, Balance, cluster, cluster_ids, describe, normalised, points
from dimofs.recognition.picture import draw_clusters

SETTINGS = Clusters(clusters=4, normalisation="box", l2=False, iterations=20, restarts=2, seeds=3, threads=1)


def features(people: int, seed: int = 0, kinds: int = 4, components: int = 3) -> pd.DataFrame:
    """People of some kinds, each with a pose and a motion of its own and noise; `kind` is the truth."""
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(99)
    poses, motions = truth.uniform(0, 60, (kinds, 15, 2)), truth.normal(0, 8, (kinds, 15, 2))
    offsets = truth.normal(0, 3, (kinds, 15 * components))
    kind = rng.integers(kinds, size=people)
    joints = poses[kind] + rng.normal(0, 1, (people, 15, 2))
    box = np.concatenate([joints.min(1) - 2, joints.max(1) + 2], 1)
    return pd.DataFrame(
        {
            "video": [f"v{index % 7}" for index in range(people)],
            "frame": np.arange(people, dtype=np.int32),
            "delta": np.int32(5),
            "person": np.int32(0),
            "score": np.float32(0.9),
            "box": list(box.astype(np.float32)),
            "joints": list(joints.reshape(people, -1).astype(np.float32)),
            "dimofs": list((offsets[kind] + rng.normal(0, 0.3, (people, 15 * components))).astype(np.float32)),
            "flow": list((motions[kind] + rng.normal(0, 1, (people, 15, 2))).reshape(people, -1).astype(np.float32)),
            "kind": kind,
        }
    )


def moved(table: pd.DataFrame, zoom: float, shift: tuple[float, float]) -> pd.DataFrame:
    """The same people elsewhere in the frame and of another size."""
    place = np.array(shift, np.float32)
    return table.assign(
        box=[(box * zoom + np.tile(place, 2)).astype(np.float32) for box in table["box"]],
        joints=[(joints * zoom + np.tile(place, 15)).astype(np.float32) for joints in table["joints"]],
        **{name: [value * np.float32(zoom) for value in table[name]] for name in ("flow", "dimofs")},
    )


@pytest.mark.parametrize("normalisation", ["box", "hip_torso"])
@given(zoom=st.floats(0.5, 4), x=st.floats(-50, 50), y=st.floats(-50, 50))
def test_place_and_size_do_not_matter(normalisation: str, zoom: float, x: float, y: float) -> None:
    table = features(6)
    blocks = normalised(table, normalisation)  # type: ignore[arg-type]
    again = normalised(moved(table, zoom, (x, y)), normalisation)  # type: ignore[arg-type]
    assert set(blocks) == {"pose", "flow", "dimofs"}
    for name, block in blocks.items():
        np.testing.assert_allclose(again[name], block, atol=1e-3)


def test_box_poses_lie_between_0_and_1_and_raw_ones_are_pixels() -> None:
    table = features(20)
    pose = normalised(table, "box")["pose"]
    assert pose.min() > 0
    assert pose.max() < 1
    np.testing.assert_array_equal(normalised(table, "raw")["pose"], np.stack(table["joints"]))
    np.testing.assert_array_equal(normalised(table, "raw")["flow"], np.stack(table["flow"]))


def test_hip_torso_is_centred_at_the_hips_and_in_units_of_two_torsos() -> None:
    table = features(5)
    pose = normalised(table, "hip_torso")["pose"].reshape(5, 15, 2)
    hips, shoulders = (
        [LABELLED_JOINTS.index(f"{side}_{joint}") for side in ("left", "right")] for joint in ("hip", "shoulder")
    )
    np.testing.assert_allclose(pose[:, hips].mean(1), 0, atol=1e-5)
    torsos = np.linalg.norm(pose[:, shoulders][:, :, None] - pose[:, hips][:, None], axis=-1)
    np.testing.assert_allclose(torsos.max((1, 2)), 0.5, atol=1e-5)


# ---- balance


def test_a_balanced_block_has_unit_length_and_equal_columns() -> None:
    block = np.random.default_rng(0).normal(3, [0.1, 10, 2], (500, 3)).astype(np.float32)
    balanced = Balance.of(block).apply(block)
    np.testing.assert_allclose(np.square(balanced).sum(1).mean(), 1, rtol=1e-3)
    np.testing.assert_allclose(balanced.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(balanced.std(0), np.sqrt(1 / 3), rtol=1e-3)


def test_a_column_that_never_changes_counts_nothing() -> None:
    block = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    block[:, 1] = 7
    balanced = Balance.of(block).apply(block)
    assert np.isfinite(balanced).all()
    assert not balanced[:, 1].any()
    np.testing.assert_allclose(np.square(balanced).sum(1).mean(), 1, rtol=1e-3)


def test_joints_share_the_whitening_of_their_pca() -> None:
    """It is scikit-learn's whitening of all joints' vectors together, but for one factor of the block."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, [5, 1, 0.2, 0.1], (400, 15, 4)) * rng.uniform(0.5, 3, (1, 15, 1))
    pca = PCA(3).fit(vectors.reshape(-1, 4))
    plain = pca.transform(vectors.reshape(-1, 4)).reshape(400, 45).astype(np.float32)
    white = plain / np.tile(np.sqrt(pca.explained_variance_), 15)
    balanced = Balance.of(plain, joint_dimensions=3).apply(plain)
    centred = white - white.mean(0)
    ratio = (balanced * centred).sum() / (centred * centred).sum()
    np.testing.assert_allclose(balanced, ratio * centred, atol=0.01 * balanced.std())
    spread = balanced.std(0).reshape(15, 3).mean(1)
    assert spread.max() > 2 * spread.min(), "a joint that moves more keeps doing so"


def test_all_blocks_count_the_same_and_test_rows_set_no_scale() -> None:
    train = features(300)
    for kind, blocks in KINDS.items():
        seen, _ = points(train, features(10, 1), kind, SETTINGS)
        assert seen.shape == (300, 30 if kind == "pose" else 60 if kind == "pose_flow" else 75)
        np.testing.assert_allclose(np.square(seen).sum(1).mean(), len(blocks), rtol=1e-3)
        again, _ = points(train, moved(features(10, 2), 9.0, (0, 0)), kind, SETTINGS)
        np.testing.assert_array_equal(seen, again)
    unit, _ = points(train, train, "pose_dimofs", SETTINGS.model_copy(update={"l2": True}))
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)


# ---- k-means


def test_clusters_are_found_and_come_by_falling_size() -> None:
    train, test = features(400), features(100, 1)
    ids, distance, centres = cluster(*points(train, test, "pose_dimofs", SETTINGS), SETTINGS, 0)
    assert ids.shape == (3, 500)
    sizes = np.bincount(ids[0, :400])
    assert (np.diff(sizes) <= 0).all()
    truth = np.concatenate([train["kind"], test["kind"]])
    for run in ids:
        assert len(set(zip(run, truth, strict=True))) == 4, "one cluster a kind"
    assert centres.shape == (4, 75)
    rows = np.concatenate(points(train, test, "pose_dimofs", SETTINGS))
    gaps = np.linalg.norm(rows[:, None] - centres[None], axis=-1)
    np.testing.assert_array_equal(gaps.argmin(1), ids[0])
    np.testing.assert_allclose(gaps.min(1), distance, rtol=1e-4)


def test_equal_seeds_give_equal_ids() -> None:
    train, test = features(200, kinds=9), features(50, 1, kinds=9)
    first, again = (cluster_ids(train, test, "pose_flow", SETTINGS, 3) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert list(first) == [
        "split", "video", "frame", "delta", "person", "cluster", "distance", "cluster_2", "cluster_3",
    ]  # fmt: skip
    assert list(first["split"]) == ["train"] * 200 + ["test"] * 50
    assert list(first["frame"]) == list(range(200)) + list(range(50))


# ---- what is told


def tables(**runs: list[int]) -> Mapping[str, pd.DataFrame]:
    return {"pose": pd.DataFrame({"split": "train", **runs})}


def test_equal_sizes_have_the_most_entropy_and_equal_runs_agree() -> None:
    ids = [0, 1, 2, 3] * 5
    (row,) = describe(tables(cluster=ids, cluster_2=[3 - each for each in ids]), SETTINGS).to_dict("records")
    assert row["entropy"] == pytest.approx(2.0)
    assert row["nmi"] == pytest.approx(1.0)
    assert (row["clusters"], row["smallest"], row["median"], row["largest"], row["people"]) == (4, 5, 5, 5, 20)


def test_uneven_sizes_have_less_and_unrelated_runs_do_not_agree() -> None:
    ids, other = [0] * 8 + [1] * 8, [0, 1] * 8
    (row,) = describe(tables(cluster=ids, cluster_2=other, cluster_3=ids), SETTINGS).to_dict("records")
    assert row["entropy"] == pytest.approx(1.0)
    assert (row["clusters"], row["smallest"]) == (2, 0)
    assert row["nmi_min"] == pytest.approx(0, abs=1e-9)
    assert row["nmi"] == pytest.approx(1 / 3)


# ---- the rules and the picture


def test_the_rules_know_every_kind() -> None:
    rules = (Path(__file__).parents[3] / "workflow" / "rules" / "common.smk").read_text(encoding="utf-8")
    line = re.search(r"^CLUSTERED = \[(.*)\]$", rules, re.M)
    assert line is not None
    assert tuple(line.group(1).replace('"', "").split(", ")) == tuple(KINDS)


def test_the_picture_shows_poses_and_motion(tmp_path: Path) -> None:
    train, test = features(200), features(20, 1)
    ids = cluster_ids(train, test, "pose_dimofs", SETTINGS, 0)
    draw_clusters(ids, train, tmp_path / "clusters.png")
    sheet = cv2.imread(str(tmp_path / "clusters.png"))
    assert sheet is not None
    assert sheet.shape == (4 * (16 + 128), 8 * 128, 3)
    for colour in ((60, 150, 255), (255, 190, 60), (40, 40, 220)):  # left, right, motion
        assert (np.abs(sheet.astype(int) - colour).max(-1) < 12).sum() > 50
    still = train.assign(flow=[np.zeros(30, np.float32)] * len(train))
    draw_clusters(ids, still, tmp_path / "still.png")
    red = np.abs(cv2.imread(str(tmp_path / "still.png")).astype(int) - (40, 40, 220)).max(-1) < 12
    assert red.sum() < 10


def test_runs_with_other_seeds_are_other_runs() -> None:
    """Where there are no clusters, every run finds its own: agreement of runs says how real they are."""
    nothing = np.random.default_rng(0).uniform(size=(300, 5)).astype(np.float32)
    first, second, third = cluster(nothing, nothing[:0], SETTINGS.model_copy(update={"clusters": 20}), 0)[0]
    assert not np.array_equal(first, second)
    assert not np.array_equal(second, third)


def test_displacements_are_in_square_roots_of_the_boxs_area() -> None:
    table = features(1).assign(box=[np.array([5, 7, 15, 47], np.float32)])
    block = normalised(table, "box")["flow"]
    np.testing.assert_allclose(block[0], table["flow"][0] / 20, rtol=1e-5)


def test_of_dimofs_a_joint_that_moves_more_keeps_doing_so() -> None:
    moving = np.repeat([10.0, *[1.0] * 14], 3).astype(np.float32)
    train = features(300).assign(dimofs=lambda table: [row * moving for row in table["dimofs"]])
    seen, _ = points(train, train, "pose_dimofs", SETTINGS)
    spread = seen[:, 30:].std(0).reshape(15, 3).mean(1)
    assert spread[0] > 3 * spread[1:].max()
    pose = seen[:, :30].std(0)
    np.testing.assert_allclose(pose, pose.mean(), rtol=1e-3)
