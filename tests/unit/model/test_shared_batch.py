"""How a batch is spread over processes decides neither which examples are chosen nor how much each of them weighs."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dimofs.model import shared_batch
from dimofs.model.shared_batch import CountingHeads, ImageSampler, shared


def labels(images: int) -> list[Tensor]:
    """Of each image a few hundred anchors: positive, negative or to be left out."""
    generator = torch.Generator().manual_seed(images)
    return [torch.randint(-1, 2, (200 + 50 * image,), generator=generator) for image in range(images)]


def chosen(given: list[Tensor], rank: int, processes: int, seed: int) -> tuple[list[Tensor], list[Tensor], int, int]:
    """What the process of that number chooses, how many that is, and the next number of torch's generator."""
    sampler = ImageSampler(16, 0.25)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_batch, "place", lambda: (rank, processes))
        torch.manual_seed(seed)
        positives, negatives = sampler(given)
    return positives, negatives, int(sampler.chosen), int(torch.randint(2**31, ()))


@given(seed=st.integers(0, 2**31), share=st.integers(1, 3), processes=st.integers(1, 3))
def test_an_image_has_the_same_examples_wherever_it_is(seed: int, share: int, processes: int) -> None:
    everything = labels(share * processes)
    positives, negatives, count, after = chosen(everything, 0, 1, seed)
    parts = [chosen(everything[rank * share : (rank + 1) * share], rank, processes, seed) for rank in range(processes)]
    for whole, index in ((positives, 0), (negatives, 1)):
        spread = [mask for part in parts for mask in part[index]]
        assert all(torch.equal(one, other) for one, other in zip(whole, spread, strict=True))
    assert sum(part[2] for part in parts) == count
    assert {part[3] for part in parts} == {after}  # and the next sampler of the step is in step as well


def test_images_and_calls_differ() -> None:
    same = [torch.randint(0, 2, (300,), generator=torch.Generator().manual_seed(0))] * 2
    torch.manual_seed(0)
    sampler = ImageSampler(16, 0.25)
    (first, second), _ = sampler(same)
    (third, _), _ = sampler(same)
    assert not torch.equal(first, second)
    assert not torch.equal(first, third)


def test_a_chosen_example_is_one_that_torchvision_could_choose() -> None:
    given = labels(3)
    positives, negatives, count, _ = chosen(given, 0, 1, 5)
    for image, (positive, negative) in enumerate(zip(positives, negatives, strict=True)):
        assert positive.sum() == 4
        assert negative.sum() == 12
        assert (given[image][positive.bool()] == 1).all()
        assert (given[image][negative.bool()] == 0).all()
    assert count == 48


class Heads(CountingHeads):
    """As much of the RoI heads as the weights need."""

    def __init__(self, rois: int, joints: int | None) -> None:
        torch.nn.Module.__init__(self)
        self.fg_bg_sampler = ImageSampler(1, 0.5)
        self.fg_bg_sampler.chosen = torch.tensor(rois)
        self._keypoints = joints is not None
        self.joints = torch.tensor(joints or 0)

    def has_keypoint(self) -> bool:
        return self._keypoints


def spread_means(values: dict[str, list[list[float]]], monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Each process's means weighted, then their mean over the processes; values: by loss, a list for each process."""
    processes = len(values["loss_classifier"])
    counts = {name: torch.tensor([len(own) for own in lists], dtype=torch.float) for name, lists in values.items()}

    def all_reduce(own: Tensor) -> None:
        own.copy_(torch.stack([counts[name].sum() for name in values]))

    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    total = dict.fromkeys(values, 0.0)
    for rank in range(processes):
        monkeypatch.setattr(shared_batch, "place", lambda rank=rank: (rank, processes))
        sampler = ImageSampler(1, 0.5)
        if "loss_objectness" in values:  # else the RPN does not learn, and its sampler is never asked
            sampler.chosen = counts["loss_objectness"][rank]
        joints = len(values["loss_keypoint"][rank]) if "loss_keypoint" in values else None
        heads = Heads(len(values["loss_classifier"][rank]), joints)
        means = {name: torch.tensor(lists[rank] or [0.0]).mean() for name, lists in values.items()}
        for name, loss in shared(means, sampler, heads).items():
            total[name] += loss.item() / processes
    return total


def test_the_mean_over_processes_is_that_of_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "loss_objectness": [[1.0, 2.0, 3.0], [10.0]],
        "loss_rpn_box_reg": [[4.0, 4.0, 1.0], [0.5]],
        "loss_classifier": [[2.0], [4.0, 6.0, 8.0, 1.0]],
        "loss_box_reg": [[1.0], [0.0, 0.0, 3.0, 3.0]],
        "loss_keypoint": [[], [5.0, 7.0]],  # nobody in the first process's images
    }
    found = spread_means(values, monkeypatch)
    for name, lists in values.items():
        every = [value for own in lists for value in own]
        assert found[name] == pytest.approx(sum(every) / len(every))


def test_a_batch_without_any_joint_has_no_keypoint_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    values: dict[str, list[list[float]]] = {
        "loss_objectness": [[1.0], [1.0]], "loss_classifier": [[1.0], [1.0]], "loss_keypoint": [[], []],
    }  # fmt: skip
    assert spread_means(values, monkeypatch)["loss_keypoint"] == 0


def test_an_rpn_that_does_not_learn_needs_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    found = spread_means({"loss_classifier": [[2.0], [4.0, 6.0]], "loss_box_reg": [[0.0], [3.0, 3.0]]}, monkeypatch)
    assert found == pytest.approx({"loss_classifier": 4.0, "loss_box_reg": 2.0})


def test_alone_nothing_is_weighted() -> None:
    losses = {"loss_classifier": torch.tensor(3.0)}
    assert shared(losses, ImageSampler(1, 0.5), Heads(5, None)) is losses
