"""The pose detector of §3, on single frames and on pairs: pose in Frame A from the features of Frame B."""

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dimofs.config import Model
from dimofs.model.backbone import Backbone, both_frames
from dimofs.model.heads import image_list, pose_heads, proposal_network, pyramid
from dimofs.model.offsets import Offsets, Resampling
from dimofs.model.shared_batch import shared

Detections = list[dict[str, Tensor]]
Sizes = list[tuple[int, int]]


class PoseDetector(nn.Module):
    """Keypoint R-CNN; with `pairs` also the DiMoFs offsets and the resampling between backbone and heads.

    Without `pairs` it is the single-frame baseline [16]. The two have the same backbone and heads, so either loads the
    other's weights; a pair model that starts from a single-frame model's weights is that model, on Frame B (A2, A3).

    recompute_offsets: training keeps none of the maps between the features of both frames and the resampled ones, the
    largest of the network (at P2 512 × 200 × 336 offsets a frame at the paper's size), and computes them twice.
    """

    def __init__(self, model: Model, *, pairs: bool, live_norm: bool = False, recompute_offsets: bool = False) -> None:
        super().__init__()
        self._recompute_offsets = recompute_offsets
        self.backbone = Backbone(model, live_norm=live_norm)
        self.offsets = Offsets(model.fpn_channels) if pairs else None
        self.resampling = Resampling(model.fpn_channels) if pairs else None
        self.rpn = proposal_network(model, model.proposals_test)
        self.roi_heads = pose_heads(model)

    def resampled(self, features_a: list[Tensor], features_b: list[Tensor]) -> list[Tensor]:
        """Frame B's features brought to Frame A's grid: g^(s) of §3, per scale (N, C, H, W).

        The same list twice means δ = 0: the difference is zero, and so are the offsets.
        """
        if self.offsets is None or self.resampling is None:
            raise ValueError("a single-frame detector has no offsets; build it with pairs=True")
        if features_a is features_b:
            return self.resampling(features_b, None)
        offsets, resampling = self.offsets, self.resampling

        def resampled() -> list[Tensor]:
            return resampling(features_b, offsets(features_a, features_b))

        if self._recompute_offsets:
            return checkpoint(resampled, use_reentrant=False, preserve_rng_state=False)
        return resampled()

    def detect(self, features: list[Tensor], sizes: Sizes) -> Detections:
        """Run the heads in evaluation mode.

        features: per scale (N, C, H, W), of single frames or resampled; sizes: (height, width) of each frame, pixels.
        Returns per frame `boxes` (D, 4) x1 y1 x2 y2, `scores` (D,) descending, `keypoints` (D, 17, 3) x y 1 and
        `keypoints_scores` (D, 17) logits; pixels of the network's input.
        """
        levels = pyramid(features)
        proposals, _ = self.rpn(image_list(features, sizes), levels)
        detections, _ = self.roi_heads(levels, proposals, sizes)
        return detections

    def losses(
        self, frames_a: Tensor, frames_b: Tensor | None, sizes: Sizes, targets: list[dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Compute the five losses of Frame A's labels (§3: RPN class and box, class, box, keypoint; unit weights).

        frames_a, frames_b: (N, 3, H, W) RGB in [0, 1]; frames_b is None for the single-frame baseline.
        targets: per frame `boxes` (P, 4), `labels` (P,) ones, `keypoints` (P, 17, 3) x y visible.
        Where processes share a batch, the mean of a loss over them is that of the batch.
        """
        if frames_b is None:
            features = self.backbone(frames_a)
        else:
            features = self.resampled(*both_frames(self.backbone, frames_a, frames_b))
        levels = pyramid(features)
        proposals, rpn_losses = self.rpn(image_list(features, sizes), levels, targets)
        _, roi_losses = self.roi_heads(levels, proposals, sizes, targets)
        return shared({**rpn_losses, **roi_losses}, self.rpn.fg_bg_sampler, self.roi_heads)
