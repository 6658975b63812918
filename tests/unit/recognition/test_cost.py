"""Costs of recognition: weights, counted arithmetic, seconds."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dimofs.datasets.diving48 import Dive
from dimofs.recognition.cost import DIVES, count_weights, measure_cost


def test_arithmetic_is_counted_for_every_network_and_frame() -> None:
    first, second = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.Linear(8, 5)
    dives = [Dive(f"v_{length:05d}", "test", Path("v.mp4"), 0, length) for length in range(1, 3 * DIVES)]
    seen: list[int] = []

    def recognise(dive: Dive) -> Tensor:
        seen.append(dive.frames)
        return second(first(torch.zeros(dive.frames, 3, 16, 16)).mean((2, 3)))

    cost = measure_cost(count_weights(first, second), recognise, dives)
    assert cost.parameters == 3 * 8 * 9 + 8 * 5 + 5
    chosen = seen[:DIVES]
    assert seen == chosen * 2
    assert chosen[0] == 1
    assert chosen[-1] == len(dives)
    of_frame = 2 * (16 * 16 * 8 * 3 * 9 + 8 * 5)
    assert cost.gflops_per_video == pytest.approx(sum(chosen) / len(chosen) * of_frame / 1e9)
    assert cost.seconds_per_video > 0
