"""What our rows cost: every row runs its own networks on the same test dives."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from dimofs.config import load_config
from dimofs.datasets.diving48 import Dive, as_video
from dimofs.model.pose_detector import PoseDetector
from dimofs.pairs.index import pair_index
from dimofs.recognition import cost_ours as module
from dimofs.recognition.cluster_network import build_cluster_network
from dimofs.recognition.cost import COLUMNS, count_weights
from dimofs.recognition.cost_ours import cost_ours
from dimofs.recognition.features import Projection

SMOKE = Path(__file__).parents[3] / "scenarios/smoke/config/config.yaml"


def test_costs_of_our_rows(tmp_path: Path, encode: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(SMOKE)
    path = encode(tmp_path / "v_00001.mp4", [np.full((64, 64, 3), 30 * step, np.uint8) for step in range(7)])
    test = [Dive("v_00001", "test", path, 0, 7)]
    train = [Dive(f"t_{index:05d}", "train", tmp_path / "none.mp4", index % 2, 7) for index in range(6)]
    names = [dive.name for dive in train + test]
    clusters = config.clusters.clusters
    ids = pd.DataFrame({"video": names, "cluster": np.arange(7) % clusters})
    activations = pd.DataFrame({"video": names, "activations": list(np.eye(7, clusters, dtype=np.float32))})
    torch.manual_seed(0)
    detector = PoseDetector(config.model, pairs=True).eval()
    network = build_cluster_network(config, None)
    projection = Projection(np.zeros(128, np.float32), np.zeros((3, 128), np.float32))
    pairs = pair_index([as_video(dive) for dive in test], {"test": (5,)})
    flows = []
    monkeypatch.setattr(
        module, "farneback", lambda a, *_, settings: flows.append(settings) or np.zeros((64, 64, 2), "f4")
    )
    table = cost_ours(
        detector,
        projection,
        network,
        train + test,
        pairs,
        {kind: ids for kind in ("pose", "pose_flow", "pose_dimofs")},
        activations,
        config,
    )
    assert tuple(table.columns) == COLUMNS
    table = table.set_index("name")
    assert list(table.index) == ["init_pose", "init_pose_flow", "init_pose_dimofs", "final"]
    hidden = config.recognition.classifier.hidden
    mlp = clusters * hidden + hidden + hidden + 1  # two classes have one output
    assert table.loc["final", "parameters"] == count_weights(network) + mlp
    assert table.loc["init_pose", "parameters"] == count_weights(detector) + mlp
    assert table.loc["init_pose_dimofs", "parameters"] == count_weights(detector) + 3 * 128 + mlp
    assert (table["gflops_per_video"].iloc[1:3] == table["gflops_per_video"].iloc[0]).all()
    assert (table["gflops_per_video"] > 7 * 0.002).all(), "seven frames through the backbone"
    assert (table["seconds_per_video"] > 0).all()
    assert flows == ["detect_and_track"] * len(flows)
    assert len(flows) % 2 == 0, "two pairs, each seen when counted and when timed; flow belongs to one row alone"
