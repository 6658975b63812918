"""Losses over a batch that several processes share: those that one process with the whole batch would have.

Every process has as many images as every other, in the order of the batch. Two things in torchvision's training would
tell it how a batch is spread. Its samplers choose anchors and RoIs with one stream of random numbers for all images
of a process; here every image has a stream of its own. And its losses are means over the anchors, RoIs or joints of a
process's images, so that the mean over processes would give an anchor more weight where few were chosen; here each
loss is weighted by its process's part of them.
"""

import torch
import torch.distributed
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler
from torchvision.models.detection.roi_heads import RoIHeads, keypoints_to_heatmap

Targets = list[dict[str, Tensor]]


def place() -> tuple[int, int]:
    """Give this process's number and how many share the batch: (0, 1) for one alone."""
    if not torch.distributed.is_initialized():
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


class ImageSampler(BalancedPositiveNegativeSampler):
    """torchvision's sampler of positives and negatives, with a stream of random numbers for each image of the batch.

    torch's generator must be in the same state in all processes when it is called, and is afterwards.
    """

    #: How many anchors or RoIs of this process's images were chosen last.
    chosen: Tensor

    def __call__(self, matched_idxs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Choose for each image: from labels (n,), below zero left out, to masks of positives and negatives (n,)."""
        seed = int(torch.randint(2**62, ()))
        first = place()[0] * len(matched_idxs)
        positives, negatives = [], []
        for image, labels in enumerate(matched_idxs, start=first):
            _seed(seed + 1 + image, labels.device)
            (positive,), (negative,) = super().__call__([labels])
            positives.append(positive)
            negatives.append(negative)
        _seed(seed, matched_idxs[0].device)
        self.chosen = torch.stack([mask.sum() for mask in (*positives, *negatives)]).sum()
        return positives, negatives


def _seed(seed: int, target: torch.device) -> None:
    """Seed the stream of one device alone: `torch.manual_seed` takes 0.8 ms where there is no GPU to seed."""
    if target.type == "cuda":
        torch.cuda.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


class CountingHeads(RoIHeads):
    """torchvision's RoI heads, which also count the joints that their keypoint loss is a mean over."""

    #: How many joints of this process's images counted last, where processes share the batch.
    joints: Tensor

    def select_training_samples(
        self, proposals: list[Tensor], targets: Targets | None
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        """Choose RoIs to learn from; returns their boxes, matched people, labels and box targets, by image."""
        boxes, matches, labels, box_targets = super().select_training_samples(proposals, targets)
        if self.has_keypoint() and targets is not None and place()[1] > 1:
            side = 4 * self.keypoint_roi_pool.output_size[0]  # its predictor doubles the maps twice
            self.joints = torch.stack(
                [
                    keypoints_to_heatmap(target["keypoints"][match[label > 0]], box[label > 0], side)[1].sum()
                    for box, match, label, target in zip(boxes, matches, labels, targets, strict=True)
                ]
            ).sum()
        return boxes, matches, labels, box_targets


def shared(losses: dict[str, Tensor], sampler: ImageSampler, heads: CountingHeads) -> dict[str, Tensor]:
    """Weight losses so that their mean over processes, and its gradient, are those of the whole batch.

    losses: torchvision's, by its names, from the forward pass just made; sampler: the one of the RPN.
    """
    _, processes = place()
    if processes == 1:
        return losses
    rois = heads.fg_bg_sampler.chosen
    counts = dict.fromkeys(("loss_classifier", "loss_box_reg"), rois)
    if "loss_objectness" in losses:
        counts |= dict.fromkeys(("loss_objectness", "loss_rpn_box_reg"), sampler.chosen)
    if heads.has_keypoint():
        counts["loss_keypoint"] = heads.joints
    own = torch.stack([counts[name] for name in losses]).float()
    together = own.clone()
    torch.distributed.all_reduce(together)
    weights = processes * own / together.clamp(min=1)
    return {name: loss * weight for (name, loss), weight in zip(losses.items(), weights, strict=True)}
