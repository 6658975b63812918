"""The multi-scale detection head (§3): torchvision's RPN, box and keypoint branches, sized by the configuration."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead

from dimofs.config import Model
from dimofs.model.backbone import STRIDES
from dimofs.model.roi_align import ProductRoIAlign
from dimofs.model.shared_batch import CountingHeads, ImageSampler

#: Names of P2..P5 in the feature dictionaries that torchvision's parts take.
LEVELS = ("0", "1", "2", "3")

#: Slots of the keypoint head: the 17 of PoseTrack18, which sit where COCO keeps its own (A20).
KEYPOINTS = 17


class ProposalHead(RPNHead):
    """torchvision's RPN head, with logits and deltas in float32 in mixed precision too.

    Anchors are moved by these deltas in the deltas' own type, and so are the people that boxes learn from: bfloat16
    would round a place of 1,000 pixels to 4 or 8.
    """

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """From features (N, C, H, W) of each level to logits (N, A, H, W) and deltas (N, 4A, H, W), float32."""
        logits, deltas = super().forward(x)
        return [level.float() for level in logits], [level.float() for level in deltas]


def proposal_network(model: Model, proposals_test: int) -> RegionProposalNetwork:
    """Build the RPN over P2..P6: one anchor size a level, ratios 0.5, 1 and 2, the thresholds of Faster R-CNN."""
    anchors = AnchorGenerator(tuple((size,) for size in model.anchor_sizes), ((0.5, 1.0, 2.0),) * 5)
    network = RegionProposalNetwork(
        anchors,
        ProposalHead(model.fpn_channels, 3),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=model.anchors_per_image,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 2 * model.proposals_train, "testing": 2 * proposals_test},
        post_nms_top_n={"training": model.proposals_train, "testing": proposals_test},
        nms_thresh=0.7,
    )
    network.fg_bg_sampler = ImageSampler(model.anchors_per_image, 0.5)
    return network


def region_heads(
    model: Model,
    box_pool: nn.Module,
    box_head: nn.Module,
    box_predictor: nn.Module,
    nms_threshold: float,
    positive_fraction: float = 0.25,
) -> CountingHeads:
    """Build torchvision's RoI heads around a box branch: matching at IoU 0.5, so many of the RoIs at most positive."""
    heads = CountingHeads(
        box_pool,
        box_head,
        box_predictor,
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=model.rois_per_image,
        positive_fraction=positive_fraction,
        bbox_reg_weights=None,
        score_thresh=model.score_threshold,
        nms_thresh=nms_threshold,
        detections_per_img=model.detections_per_image,
    )
    heads.fg_bg_sampler = ImageSampler(model.rois_per_image, positive_fraction)
    return heads


class KeypointPredictor(KeypointRCNNPredictor):
    """torchvision's predictor of heat maps, with its bilinear enlargement as two products of matrices.

    The same values to rounding; torch's kernel for a CPU and its gradient take three times as long, and the whole
    predictor with them 1.5 times (benchmarks/heat_maps.py).
    """

    def __init__(self, channels: int, keypoints: int) -> None:
        super().__init__(channels, keypoints)
        # The loss compares places of a map, so a constant for the whole map has no gradient but the rounding of sums,
        # of which Adam would make steps of full length.
        self.kps_score_lowres.bias.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """From features (R, C, H, W) to logits (R, keypoints, 4H, 4W), float32 in mixed precision too."""
        coarse = self.kps_score_lowres(x).float()
        height, width = (enlarging(side).to(coarse.device) for side in coarse.shape[-2:])
        with torch.autocast("cpu" if coarse.is_meta else coarse.device.type, enabled=False):
            return height @ (coarse @ width.T)


def enlarging(cells: int) -> Tensor:
    """Give the (2 · cells, cells) weights of `cells` values in a line of twice as many, interpolated linearly."""
    return interpolate(torch.eye(cells)[None], scale_factor=2, mode="linear", align_corners=False)[0].T


def pose_heads(model: Model) -> CountingHeads:
    """Build the three branches of §3: person or not, box regression, one heat map a joint."""
    channels = model.fpn_channels
    heads = region_heads(
        model,
        ProductRoIAlign(list(LEVELS), output_size=7, sampling_ratio=2),
        TwoMLPHead(channels * 7**2, model.box_features),
        FastRCNNPredictor(model.box_features, 2),
        model.nms_threshold,
    )
    heads.keypoint_roi_pool = ProductRoIAlign(list(LEVELS), output_size=14, sampling_ratio=2)
    heads.keypoint_head = KeypointRCNNHeads(channels, model.keypoint_layers)
    heads.keypoint_predictor = KeypointPredictor(model.keypoint_layers[-1], KEYPOINTS)
    return heads


def pyramid(features: list[Tensor]) -> dict[str, Tensor]:
    """Name P2..P5 for torchvision's parts and derive P6, every second pixel of P5 (A6)."""
    return {**dict(zip(LEVELS, features, strict=True)), "pool": features[-1][:, :, ::2, ::2]}


def image_list(features: list[Tensor], sizes: list[tuple[int, int]]) -> ImageList:
    """Tell torchvision's parts the padded frame size and each frame's own (height, width); they need no pixels."""
    height, width = (STRIDES[0] * side for side in features[0].shape[-2:])
    return ImageList(torch.empty((len(sizes), 3, height, width), device="meta"), sizes)
