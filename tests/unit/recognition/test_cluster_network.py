"""Ours-final: targets, sampling, training from dives, and what the network says of a whole dive."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from dimofs.config import Config, ConfigError, check_config, load_config
from dimofs.datasets.diving48 import Dive, as_video, read_frames
from dimofs.datasets.records import DatasetError
from dimofs.model.pose_detector import PoseDetector
from dimofs.pairs.index import pair_index
from dimofs.pairs.loading import Change, PairLoader, second_frame
from dimofs.recognition.cluster_network import (
    PeopleSampler,
    build_cluster_network,
    cluster_target,
    describe_dives,
    labelled_people,
    read_positions,
    sum_activations,
    train_cluster_network,
)
from dimofs.training.checkpoint import load_checkpoint, save_checkpoint
from dimofs.training.loop import Run

SMOKE = Path(__file__).parents[3] / "scenarios/smoke/config/config.yaml"


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(SMOKE)


@pytest.fixture(scope="module")
def dives(tmp_path_factory: pytest.TempPathFactory, encode: Callable[..., Path]) -> list[Dive]:
    """Two dives of twelve frames, the grey of frame i being 20·i."""
    folder = tmp_path_factory.mktemp("dives")
    frames = [np.full((64, 64, 3), 20 * step, np.uint8) for step in range(12)]
    paths = [encode(folder / f"v_{index:05d}.mp4", frames) for index in range(2)]
    return [Dive(path.stem, "train", path, index, 12) for index, path in enumerate(paths)]


def features_of(dives: list[Dive]) -> pd.DataFrame:
    """Two people in every pair of δ = 5."""
    rows = [
        (dive.name, frame, 5, person, np.array([5 + 30 * person, 10, 25 + 30 * person, 60], np.float32))
        for dive in dives
        for frame in range(7)
        for person in range(2)
    ]
    return pd.DataFrame(rows, columns=["video", "frame", "delta", "person", "box"])


def ids_of(features: pd.DataFrame) -> pd.DataFrame:
    """Person 1 of the first frame alone is in cluster 3; all others are in cluster 1; test people are in cluster 4."""
    ids = features.drop(columns="box").assign(split="train", cluster=1)
    ids.loc[1, "cluster"] = 3
    return pd.concat([ids, ids.assign(split="test", cluster=4)])


def test_people_get_the_clusters_of_the_training_split(dives: list[Dive]) -> None:
    people = labelled_people(ids_of(features_of(dives)), features_of(dives))
    assert len(people) == 28
    assert people["cluster"].value_counts().to_dict() == {1: 27, 3: 1}
    assert people.loc[people["cluster"] == 3, ["frame", "person"]].to_numpy().tolist() == [[0, 1]]


def test_people_without_a_cluster_are_an_error(dives: list[Dive]) -> None:
    with pytest.raises(DatasetError, match="1 people"):
        labelled_people(ids_of(features_of(dives)).iloc[1:], features_of(dives))


def test_several_gaps_are_an_error(dives: list[Dive]) -> None:
    features = features_of(dives)
    features.loc[0, "delta"] = 4
    with pytest.raises(DatasetError, match=r"several δ; set one in pairs\.diving48_train"):
        labelled_people(ids_of(features), features)


@pytest.mark.parametrize(("uniform", "share"), [(True, 1 / 2), (False, 1 / 14)])
def test_clusters_or_people_come_equally_often(dives: list[Dive], uniform: bool, share: float) -> None:
    """One person of a pair each: the only one of cluster 3 is one of fourteen, but has half of the clusters."""
    people = labelled_people(ids_of(features_of(dives)), features_of(dives)).query("person == 1")
    sampler = PeopleSampler(people, 0, uniform=uniform)
    drawn = [sampler.draw(position) for position in range(800)]
    assert all((draw.delta, draw.frame_b) == (5, draw.frame_a + 5) for draw in drawn)
    assert [sampler.draw(position) for position in (7, 3)] == [drawn[7], drawn[3]]
    rare = [(draw.video, draw.frame_a) == (dives[0].name, 0) for draw in drawn]
    assert np.mean(rare) == pytest.approx(share, abs=0.05)


def test_the_size_of_a_frame_says_nothing_of_its_cluster(config: Config, dives: list[Dive]) -> None:
    people = labelled_people(ids_of(features_of(dives)), features_of(dives)).query("person == 1")
    sampler = PeopleSampler(people, 0, uniform=True)
    augmentation = config.recognition.final.augmentation.model_copy(update={"short_sides": (96, 128)})
    videos = [as_video(dive) for dive in dives]
    loader = PairLoader(
        videos, sampler, config.model, augmentation, target=cluster_target(people), beside=second_frame, seed=0
    )
    drawn = [sampler.draw(position) for position in range(400)]
    rare = [(draw.video, draw.frame_a) == (dives[0].name, 0) for draw in drawn]
    large = [loader._short_side(draw) == 128 for draw in drawn]
    assert abs(np.corrcoef(rare, large)[0, 1]) < 0.2


def test_targets_are_the_boxes_and_clusters_of_frame_a(dives: list[Dive]) -> None:
    target = cluster_target(labelled_people(ids_of(features_of(dives)), features_of(dives)))
    found = target(as_video(dives[0]), 0, 2.0, None, (128, 128))
    assert found["boxes"].tolist() == [[10, 20, 50, 120], [70, 20, 110, 120]]
    assert found["labels"].tolist() == [2, 4]
    away = Change(np.array([[1.0, 0, -60], [0, 1, 0]]), flip=False, gain=1, bias=0)
    moved = target(as_video(dives[0]), 0, 2.0, away, (128, 128))
    assert moved["boxes"].tolist() == [[10, 20, 50, 120]]
    assert moved["labels"].tolist() == [4]


def test_frames_come_in_the_order_asked_for_and_nothing_behind_is_decoded(dives: list[Dive]) -> None:
    frames = [frame.mean() for frame in read_positions(dives[0], [7, 2, 7])]
    assert frames == pytest.approx([140, 40, 140], abs=3)
    short = Dive("v", "train", dives[0].path, 0, 99)
    assert read_positions(short, [0])[0].mean() < 5
    with pytest.raises(DatasetError, match="holds 12 frames"):
        list(read_frames(short))


def test_mirrored_divers_are_refused(config: Config) -> None:
    raw = config.model_dump(mode="json")
    raw["recognition"]["final"]["augmentation"]["flip"] = 0.5
    with pytest.raises(ConfigError, match=r"recognition\.final\.augmentation.*mirrored"):
        check_config(raw, Path("config.yaml"))


@pytest.fixture(scope="module")
def pose_weights(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    detector = PoseDetector(config.model, pairs=True)
    assert detector.offsets is not None
    for weight in detector.offsets.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    path = tmp_path_factory.mktemp("weights") / "dimofs.safetensors"
    save_checkpoint(path, detector.state_dict(), {})
    return path


def test_training_starts_from_dimofs_and_keeps_the_detector(
    config: Config, dives: list[Dive], pose_weights: Path, tmp_path: Path
) -> None:
    people = labelled_people(ids_of(features_of(dives)), features_of(dives))
    run = Run("final", 0, {}, tmp_path / "a.safetensors", tmp_path / "a.csv", tmp_path / "resume")
    train_cluster_network(config, dives, people, pose_weights, run)
    before, after = load_checkpoint(pose_weights)[0], load_checkpoint(run.checkpoint)[0]
    for name, kept in (("backbone.", True), ("rpn.", True), ("resampling.", True), ("offsets.", False)):
        own = [key for key in after if key.startswith(name)]
        assert own
        assert all(torch.equal(before[key], after[key]) == kept for key in own), name
    assert {"loss", "loss_classifier", "loss_box_reg"} <= set(pd.read_csv(run.curve))
    again = Run("final", 0, {}, tmp_path / "b.safetensors", tmp_path / "b.csv", tmp_path / "resume")
    train_cluster_network(config, dives, people, pose_weights, again)
    assert run.checkpoint.read_bytes() == again.checkpoint.read_bytes()


def test_a_dive_is_the_sum_of_its_pairs(config: Config, dives: list[Dive], pose_weights: Path, tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = build_cluster_network(config, pose_weights).eval()
    pairs = pair_index([as_video(dive) for dive in dives], {"train": (5,)})
    inner = [(a, a + 5) for a in range(7)]
    with torch.inference_mode():
        whole = sum_activations(network, dives[0], inner, config)
        parts = [sum_activations(network, dives[0], [pair], config) for pair in inner]
    assert whole.shape == (config.clusters.clusters,)
    assert whole.sum() > 0.1
    np.testing.assert_allclose(whole, np.sum(parts, axis=0), rtol=1e-4)
    describe_dives(network, dives, pairs, config, tmp_path / "out.parquet", tmp_path / "parts", {})
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert table["video"].tolist() == [dive.name for dive in dives]
    np.testing.assert_allclose(table["activations"][0], whole, rtol=1e-5)
    assert not (tmp_path / "parts").exists()


def test_a_dive_without_pairs_is_nobody(config: Config, dives: list[Dive], tmp_path: Path) -> None:
    network = build_cluster_network(config, None)
    pairs = pair_index([as_video(dive) for dive in dives[:1]], {"train": (50,)})
    describe_dives(network, dives[:1], pairs, config, tmp_path / "out.parquet", tmp_path / "parts", {})
    assert not np.any(pd.read_parquet(tmp_path / "out.parquet")["activations"][0])
