"""The two-branch action localiser (§5.1, Figure 4) and its rivals of Table 3."""

from typing import Self

import torch
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.ops import nms

from dimofs.config import Actions, Model
from dimofs.model.backbone import STRIDES, Backbone, both_frames
from dimofs.model.heads import LEVELS, image_list, proposal_network, pyramid, region_heads
from dimofs.model.offsets import Offsets, Resampling
from dimofs.model.pose_detector import Detections, Sizes
from dimofs.model.roi_align import ProductRoIAlign
from dimofs.model.shared_batch import shared

#: Names of the motion maps beside P2..P5 in the feature dictionaries.
MOTION_LEVELS = tuple(f"motion{level}" for level in LEVELS)


class BranchPool(nn.Module):
    """RoIAlign, separately on the appearance features and on the motion maps (7×7 each, A26)."""

    def __init__(self, *, motion: bool) -> None:
        super().__init__()
        self.appearance = ProductRoIAlign(list(LEVELS), output_size=7, sampling_ratio=2)
        self.motion = ProductRoIAlign(list(MOTION_LEVELS), output_size=7, sampling_ratio=2) if motion else None

    def forward(self, features: dict[str, Tensor], boxes: list[Tensor], sizes: Sizes) -> list[Tensor]:
        """Pool both kinds of map over the same boxes; returns one (R, C, 7, 7) per branch."""
        pools = [self.appearance] if self.motion is None else [self.appearance, self.motion]
        return [pool(features, boxes, sizes) for pool in pools]


class BranchHead(nn.Module):
    """A two-layer MLP per branch; their outputs side by side (§5.1)."""

    def __init__(self, channels: list[int], features: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(TwoMLPHead(count * 7**2, features) for count in channels)

    def forward(self, pooled: list[Tensor]) -> Tensor:
        """From one (R, C, 7, 7) per branch to (R, branches × features)."""
        return torch.cat([branch(maps) for branch, maps in zip(self.branches, pooled, strict=True)], dim=1)


class ActionLocalizer(nn.Module):
    """Faster R-CNN on Frame A with a second branch for motion, and no deformable layer (§5.1).

    Nothing is resampled, but the 1×1 weight of the resampling stays: behind it RPN and heads of a DiMoFs detector have
    learned, so that its proposals here are those at δ = 0. It is the identity where no DiMoFs detector was the start.

    motion: "offsets" pools the DiMoFs offsets, "flow" an optical flow from outside (A29), "none" has no second branch.
    inflated: the backbone sees Frame A between its neighbours through temporal convolutions (A30).
    """

    def __init__(self, model: Model, actions: Actions, classes: int, *, motion: str, inflated: bool) -> None:
        super().__init__()
        self.backbone = Backbone(model, live_norm=False)
        self.offsets = Offsets(model.fpn_channels) if motion == "offsets" else None
        self.resampling = Resampling(model.fpn_channels)
        self._by_stride = actions.scale_offsets_by_stride
        self._box_loss_weight = actions.box_loss_weight
        self.rpn = proposal_network(model, actions.proposals_test)
        motion_channels = {"offsets": [2 * model.fpn_channels], "flow": [2], "none": []}[motion]
        head = BranchHead([model.fpn_channels, *motion_channels], actions.mlp_features)
        # Every class that a proposal may have is judged, however unlikely; a pose needs neither.
        judged = {"score_threshold": actions.score_threshold, "detections_per_image": actions.proposals_test * classes}
        self.roi_heads = region_heads(
            model.model_copy(update=judged),
            BranchPool(motion=bool(motion_channels)),
            head,
            FastRCNNPredictor(actions.mlp_features * len(head.branches), classes + 1),
            actions.nms_threshold,
            actions.positive_fraction,
        )
        self.inflated = inflated

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation; where proposals cannot get better, they are those of evaluation."""
        super().train(mode)
        behind = (self.backbone, self.resampling, self.rpn)
        self.rpn.train(mode and any(weight.requires_grad for part in behind for weight in part.parameters()))
        return self

    def motion(self, features_a: list[Tensor], features_b: list[Tensor]) -> list[Tensor]:
        """Compute the DiMoFs maps of pairs, per scale (N, 2C, H, W); feature pixels, or frame pixels (A15, A26)."""
        return self._scaled(self._predictors()(features_a, features_b))

    def projections(self, features: list[Tensor]) -> list[Tensor]:
        """Compute maps of single frames, of which those of a pair are the difference, A less B (`Offsets`)."""
        return self._scaled(self._predictors().projections(features))

    def _predictors(self) -> Offsets:
        if self.offsets is None:
            raise ValueError("this localiser has no offset predictors")
        return self.offsets

    def _scaled(self, maps: list[Tensor]) -> list[Tensor]:
        return [level * stride for level, stride in zip(maps, STRIDES, strict=True)] if self._by_stride else maps

    def encode(self, frames: tuple[Tensor, ...]) -> list[Tensor]:
        """Compute Frame A's features; frames: A alone, or (A, previous, next) for the inflated backbone."""
        if not self.inflated:
            return self.backbone(frames[0])
        current, previous, following = frames
        return self.backbone(torch.stack([previous, current, following], dim=1).flatten(0, 1))

    def losses(
        self, frames: tuple[Tensor, ...], flow: list[Tensor] | None, sizes: Sizes, targets: list[dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Compute the losses of Frame A's boxes and classes, and of its proposals where these can get better.

        frames: (A, B) for offsets, (A,) beside a flow, (A, previous, next) inflated; each (N, 3, H, W) RGB in [0, 1].
        flow: with motion "flow", per scale (N, 2, H, W).
        targets: per frame `boxes` (P, 4) and `labels` (P,) in 1..classes.
        Where processes share a batch, the mean of a loss over them is that of the batch.
        """
        if self.offsets is not None:
            features, features_b = both_frames(self.backbone, *frames)
            motion = self.motion(features, features_b)
        else:
            features, motion = self.encode(frames), flow or []
        levels = pyramid(self.resampling(features, None))
        proposals, rpn_losses = self.rpn(image_list(features, sizes), levels, targets)
        levels |= dict(zip(MOTION_LEVELS, motion, strict=False))
        _, roi_losses = self.roi_heads(levels, proposals, sizes, targets)
        roi_losses["loss_box_reg"] = self._box_loss_weight * roi_losses["loss_box_reg"]
        return shared({**rpn_losses, **roi_losses}, self.rpn.fg_bg_sampler, self.roi_heads)

    def propose(self, features: list[Tensor], sizes: Sizes) -> tuple[list[Tensor], list[Tensor]]:
        """Compute what all δ of a Frame A share: per frame, proposals (R, 4) and the appearance MLP's output (R, F)."""
        levels = pyramid(self.resampling(features, None))
        proposals, _ = self.rpn(image_list(features, sizes), levels)
        pooled = self.roi_heads.box_roi_pool.appearance(levels, proposals, sizes)
        appearance = self.roi_heads.box_head.branches[0](pooled)
        return proposals, list(appearance.split([len(boxes) for boxes in proposals]))

    def classify(
        self, proposals: list[Tensor], appearance: list[Tensor], motion: list[Tensor], sizes: Sizes
    ) -> Detections:
        """Score proposals in evaluation mode.

        proposals, appearance: per pair, from `propose`; motion: per scale (N, C, H, W), empty without a motion branch.
        Returns per pair `boxes` (D, 4), `scores` (D,) and `labels` (D,) in 1..classes.
        """
        logits, regression = self._predict(proposals, appearance, motion, sizes)
        boxes, scores, labels = self.roi_heads.postprocess_detections(logits, regression, proposals, sizes)
        return [
            {"boxes": box, "scores": score, "labels": label}
            for box, score, label in zip(boxes, scores, labels, strict=True)
        ]

    def activations(
        self, proposals: list[Tensor], appearance: list[Tensor], motion: list[Tensor], sizes: Sizes, threshold: float
    ) -> Tensor:
        """Sum the class probabilities of the people of each pair, (N, classes), the background left out (§5.2, A38).

        Arguments as for `classify`. People are the proposals that are not background with a probability of at least
        `threshold` and lie under no likelier one.
        """
        logits, _ = self._predict(proposals, appearance, motion, sizes)
        found = logits.float().softmax(dim=-1).split([len(boxes) for boxes in proposals])
        sums = []
        for boxes, probabilities in zip(proposals, found, strict=True):
            person = 1 - probabilities[:, 0]
            kept = nms(boxes, person, self.roi_heads.nms_thresh)
            sums.append(probabilities[kept[person[kept] >= threshold], 1:].sum(dim=0))
        return torch.stack(sums)

    def _predict(
        self, proposals: list[Tensor], appearance: list[Tensor], motion: list[Tensor], sizes: Sizes
    ) -> tuple[Tensor, Tensor]:
        """Logits (R, classes + 1) and box regression of all proposals of the pairs."""
        features = [torch.cat(appearance)]
        if motion:
            pooled = self.roi_heads.box_roi_pool.motion(dict(zip(MOTION_LEVELS, motion, strict=True)), proposals, sizes)
            features.append(self.roi_heads.box_head.branches[1](pooled))
        logits, regression = self.roi_heads.box_predictor(torch.cat(features, dim=1))
        return logits, regression


class InflatedConvolution(nn.Module):
    """A 3×3 convolution grown to 3×3×3: the old weight in the middle, zeros before and after (A30).

    Frames of a clip lie one after another in the batch, three to a clip, so that everything else stays two-dimensional.
    """

    def __init__(self, flat: nn.Conv2d) -> None:
        super().__init__()
        stride = (1, flat.stride[0], flat.stride[1])
        self.convolution = nn.Conv3d(flat.in_channels, flat.out_channels, 3, stride=stride, padding=1, bias=False)
        with torch.no_grad():
            self.convolution.weight.zero_()
            self.convolution.weight[:, :, 1] = flat.weight

    def forward(self, frames: Tensor) -> Tensor:
        """From (3N, C, H, W) to (3N, C', H', W')."""
        clips = frames.unflatten(0, (-1, 3)).transpose(1, 2)
        return self.convolution(clips).transpose(1, 2).flatten(0, 1)


class CentreFrame(nn.Module):
    """A backbone body over clips of three frames that hands on the middle frame, whose labels count."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """From (3N, 3, H, W) to the body's stages, (N, C, H, W) each."""
        return {name: level[1::3] for name, level in self.body(frames).items()}


def inflate(backbone: Backbone) -> None:
    """Inflate a trained backbone in place: the first spatial convolution of every residual block becomes 3×3×3."""
    for block in list(backbone.body.modules()):
        if isinstance(block, BasicBlock):
            block.conv1 = InflatedConvolution(block.conv1)
        elif isinstance(block, Bottleneck):
            block.conv2 = InflatedConvolution(block.conv2)
    backbone.body = CentreFrame(backbone.body)
