"""The table of action detections against the whole localiser, pair by pair."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from dimofs.actions.ablations import ActionTraining
from dimofs.actions.predict import SCHEMA, predict, write_detections
from dimofs.config import Config, load_config
from dimofs.datasets.records import JHMDB_CLASSES, POSETRACK_JOINTS, Frame, Video
from dimofs.model.action_localizer import ActionLocalizer
from dimofs.model.backbone import both_frames
from dimofs.pairs.loading import load_frames
from dimofs.training.loop import as_input

FRAMES = 7
PLAN = ActionTraining("dimofs", "dimofs", "offsets", train_offsets=True, inflated_3d=False)


@pytest.fixture(scope="module")
def config() -> Config:
    config = load_config(Path(__file__).parents[3] / "config/config.yaml")
    model = config.model.model_copy(update={"small_width": 8, "fpn_channels": 8, "score_threshold": 0.0})
    actions = config.actions.model_copy(update={"mlp_features": 16, "proposals_test": 6, "batch_size": 4})
    return config.model_copy(update={"model": model, "actions": actions})


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Video]:
    """Two clips, named against the order of the alphabet, of twice the network's size."""
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    found = []
    for name in ("second", "first"):
        frames = []
        for number in range(FRAMES):
            path = folder / f"{name}{number}.png"
            cv2.imwrite(str(path), cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (256, 256)))
            frames.append(Frame(path, True, (), ()))
        found.append(Video(name, "test", POSETRACK_JOINTS, tuple(frames), 3))
    return found


@pytest.fixture(scope="module")
def network(config: Config) -> ActionLocalizer:
    torch.manual_seed(0)
    localizer = ActionLocalizer(config.model, config.actions, len(JHMDB_CLASSES), motion="offsets", inflated=False)
    assert localizer.offsets is not None
    for weight in localizer.offsets.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    return localizer.eval()


def pairs_of(videos: list[Video], deltas: tuple[int, ...]) -> pd.DataFrame:
    rows = [
        {"video": video.name, "frame_a": a, "frame_b": min(a + delta, FRAMES - 1), "delta": delta}
        for video in videos
        for delta in deltas
        for a in range(FRAMES)
    ]
    return pd.DataFrame(rows)


def detections(network: ActionLocalizer, videos: list[Video], pairs: pd.DataFrame, config: Config) -> pd.DataFrame:
    return pa.concat_tables(predict(network, PLAN, videos, pairs, config)).to_pandas()


@pytest.mark.usefixtures("in_float32")
@torch.inference_mode()
def test_every_pair_has_the_detections_of_the_whole_network(config, videos, network):
    pairs = pairs_of(videos, (0, 2, 9))
    table = detections(network, videos, pairs, config)
    assert list(table.columns) == SCHEMA.names
    assert table["frame"].dtype == table["delta"].dtype == table["label"].dtype == np.int32
    assert table[["video", "frame", "delta"]].apply(tuple, axis=1).is_monotonic_increasing
    by_name = {video.name: video for video in videos}
    for row in pairs.itertuples():
        frames, sizes, scale = load_frames(by_name[row.video], [row.frame_a, row.frame_b], config.model)
        inputs = as_input(frames, torch.device("cpu"))
        features_a, features_b = both_frames(network.backbone, inputs[:1], inputs[1:])
        proposals, appearance = network.propose(features_a, sizes[:1])
        motion = network.motion(features_a, features_b)
        (expected,) = network.classify(proposals, appearance, motion, sizes[:1])
        here = table[(table["video"] == row.video) & (table["frame"] == row.frame_a) & (table["delta"] == row.delta)]
        assert len(here) == len(expected["scores"]) > 0
        assert here["score"].is_monotonic_decreasing
        np.testing.assert_allclose(here["score"], expected["scores"], rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(np.stack(here["box"].to_list()), expected["boxes"] / scale, rtol=1e-3, atol=0.05)


def test_gaps_that_are_clamped_to_the_same_frame_have_the_same_detections(config, videos, network):
    table = detections(network, videos, pairs_of(videos, (6, 9)), config)
    six, nine = (table[table["delta"] == delta].drop(columns="delta").reset_index(drop=True) for delta in (6, 9))
    assert six.drop(columns="box").equals(nine.drop(columns="box"))
    np.testing.assert_array_equal(np.stack(six["box"].to_list()), np.stack(nine["box"].to_list()))


def test_each_video_is_a_table_of_its_own_in_the_order_of_names(config, videos, network):
    tables = predict(network, PLAN, videos, pairs_of(videos, (0,)), config)
    assert [set(table["video"].to_pylist()) for table in tables] == [{"first"}, {"second"}]


def test_a_table_without_detections_keeps_its_columns_and_types(config, videos, network, monkeypatch):
    monkeypatch.setattr(network.roi_heads, "score_thresh", 2.0)
    tables = list(predict(network, PLAN, videos, pairs_of(videos, (0,)), config))
    assert [len(table) for table in tables] == [0, 0]
    assert all(table.schema == SCHEMA for table in tables)


def part(*frames: int) -> pa.Table:
    rows = [{"video": "a", "frame": f, "delta": 0, "label": 1, "score": 0.5, "box": [f, 0, 1, 2]} for f in frames]
    return pa.Table.from_pylist(rows, SCHEMA)


@pytest.mark.parametrize("frames", [[], [()], [(1, 2), (), (3,)]])
def test_tables_are_written_as_one(tmp_path: Path, frames: list[tuple[int, ...]]) -> None:
    write_detections((part(*rows) for rows in frames), tmp_path / "table.parquet")
    read = pd.read_parquet(tmp_path / "table.parquet")
    assert read["frame"].tolist() == [frame for rows in frames for frame in rows]
    assert (read["frame"].dtype, read["score"].dtype) == (np.int32, np.float32)
    assert [list(box) for box in read["box"]] == [[frame, 0, 1, 2] for frame in read["frame"]]


def test_an_error_between_tables_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_detections([part(1)], path)

    def broken() -> Iterator[pa.Table]:
        yield part(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_detections(broken(), path)
    assert pd.read_parquet(path)["frame"].tolist() == [1]
    assert list(tmp_path.iterdir()) == [path]
