"""Costs of recognition: weights, counted arithmetic, seconds."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dimofs.datasets.diving48 import Dive
from dimofs.recognition import cost
from dimofs.recognition.cost import COLUMNS, DIVES, ROUNDS, Way, count_weights, measure_costs


def test_arithmetic_is_counted_for_every_network_and_frame() -> None:
    first, second = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.Linear(8, 5)
    dives = [Dive(f"v_{length:05d}", "test", Path("v.mp4"), 0, length) for length in range(1, 3 * DIVES)]
    seen: list[int] = []

    def recognise(dive: Dive) -> Tensor:
        seen.append(dive.frames)
        return second(first(torch.zeros(dive.frames, 3, 16, 16)).mean((2, 3)))

    costs = measure_costs({"network": Way(count_weights(first, second), recognise)}, dives)
    assert tuple(costs.columns) == COLUMNS
    (row,) = costs.itertuples()
    assert (row.name, row.parameters) == ("network", 3 * 8 * 9 + 8 * 5 + 5)
    chosen = seen[:DIVES]
    assert seen == chosen * (1 + ROUNDS)
    assert chosen[0] == 1
    assert chosen[-1] == len(dives)
    of_frame = 2 * (16 * 16 * 8 * 3 * 9 + 8 * 5)
    assert row.gflops_per_video == pytest.approx(sum(chosen) / len(chosen) * of_frame / 1e9)
    assert row.seconds_per_video > 0


def test_enlarging_counts_nothing() -> None:
    conv = nn.Conv2d(1, 1, 1, bias=False)

    def recognise(dive: Dive) -> Tensor:
        return nn.functional.interpolate(conv(torch.ones(1, 1, 4, 4)), size=(64, 64), mode="bicubic")

    way = Way(count_weights(conv), recognise)
    costs = measure_costs({"network": way}, [Dive("v_00001", "test", Path("v.mp4"), 0, 9)])
    assert costs["gflops_per_video"].tolist() == [2 * 16 / 1e9]


def test_rows_take_turns_and_the_quickest_round_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    monkeypatch.setattr(cost, "process_time", lambda: clock)
    turns: list[str] = []

    def way(name: str) -> Way:
        def recognise(dive: Dive) -> None:
            nonlocal clock
            slow = turns.count(name) in range(2 * DIVES, 3 * DIVES)  # the second round, while something else goes on
            turns.append(name)
            clock += dive.frames * (10 if slow else 1) * (3 if name == "b" else 1)

        return Way(0, recognise)

    dives = [Dive(f"v_{length:05d}", "test", Path("v.mp4"), 0, length) for length in (4, 7, 5)]
    costs = cost.measure_costs({name: way(name) for name in "ab"}, dives)
    assert costs["seconds_per_video"].tolist() == [5, 15]
    assert turns == (["a"] * DIVES + ["b"] * DIVES) * (1 + ROUNDS)
