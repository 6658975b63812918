"""RoIAlign on a CPU as two products of matrices.

What RoIAlign reads along x does not depend on y: a bin is the mean of a grid of bilinear samples, so it is a weighted
sum of columns of a weighted sum of rows. torchvision's CPU kernel visits every sample of every channel by itself, which
was a quarter of a training step at the default size, most of it in the backward pass.
"""

import torch
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.poolers import LevelMapper

from dimofs.model.backbone import STRIDES

#: Cells of a map up to which products over all of its rows and columns are quicker than visits of samples
#: (benchmarks/roi_align.py).
PRODUCT_CELLS = 64 * 64


class ProductRoIAlign(MultiScaleRoIAlign):
    """torchvision's multi-scale RoIAlign over P2..P5, by matrix products where maps are small and on a CPU.

    Both forms compute the same, to rounding: each RoI from the level of its size (224 pixels ↔ P4), `output_size` bins
    a side, `sampling_ratio`² bilinear samples a bin, coordinates in pixels of the frame.
    """

    def __init__(self, featmap_names: list[str], output_size: int, sampling_ratio: int) -> None:
        super().__init__(featmap_names, output_size, sampling_ratio)
        # torchvision would infer the strides from the first frames' sizes, which padding makes ambiguous.
        self.scales = [1 / stride for stride in STRIDES]
        self.map_levels = LevelMapper(2, 1 + len(STRIDES))

    def forward(self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """Pool boxes (R, 4) x1 y1 x2 y2 of each image from levels (N, C, H, W); returns (sum of R, C, bins, bins)."""
        levels = [x[name] for name in self.featmap_names]
        finest = levels[0]
        if finest.device.type != "cpu" or finest.shape[2] * finest.shape[3] > PRODUCT_CELLS:
            pooled: Tensor = super().forward(x, boxes, image_shapes)
            return pooled
        together = torch.cat(boxes)
        together = together.to(torch.promote_types(together.dtype, torch.float32))  # bfloat16 would be off by cells
        level = self.map_levels(boxes)
        image = torch.repeat_interleave(torch.tensor([len(part) for part in boxes]))
        parts, places = [], []
        for number, (features, stride) in enumerate(zip(levels, STRIDES, strict=True)):
            (place,) = torch.where(level == number)
            counts = torch.bincount(image[place], minlength=len(boxes)).tolist()
            parts.append(self._pool(features, together[place] / stride, counts))
            places.append(place)
        return torch.cat(parts)[torch.cat(places).argsort()].permute(0, 3, 1, 2).contiguous()

    def _pool(self, features: Tensor, boxes: Tensor, counts: list[int]) -> Tensor:
        """Pool boxes (R, 4), in cells and in the order of the images, from one level; gives (R, bins, bins, C)."""
        height, width = features.shape[2:]
        down, across = self.output_size
        rows = sample_weights(boxes[:, 1], boxes[:, 3], height, down, self.sampling_ratio).to(features.dtype)
        columns = sample_weights(boxes[:, 0], boxes[:, 2], width, across, self.sampling_ratio).to(features.dtype)
        # What no box reads gets a gradient of zero, not none at all, so that optimisers treat every level alike.
        pooled = [features[:0, :, :1, :1].permute(0, 2, 3, 1).expand(-1, down, across, -1)]
        pictures = features.permute(0, 2, 3, 1).unbind()
        for picture, row, column in zip(pictures, rows.split(counts), columns.split(counts), strict=True):
            if len(row):
                bands = (row.flatten(0, 1) @ picture.flatten(1)).unflatten(1, (width, -1))  # (R·down, W, C)
                bins = torch.bmm(column.repeat_interleave(down, 0), bands)  # (R·down, across, C)
                pooled.append(bins.unflatten(0, (-1, down)))
        return torch.cat(pooled)


def sample_weights(low: Tensor, high: Tensor, cells: int, bins: int, samples: int) -> Tensor:
    """Weigh the cells of an axis for the mean of `samples` linear samples in each of `bins` bins between two places.

    low, high: (R,) in cells, a cell's value at its whole number. As in torchvision a RoI is at least one cell long,
    places less than a cell outside read the cell at the border, and those further out read nothing.
    Returns (R, bins, cells).
    """
    steps = (torch.arange(bins * samples, dtype=low.dtype, device=low.device) + 0.5) / (bins * samples)
    places = low[:, None] + (high - low).clamp(min=1)[:, None] * steps
    inside = ((places >= -1) & (places <= cells)).to(low.dtype)
    distance = places.clamp(0, cells - 1)[..., None] - torch.arange(cells, dtype=low.dtype, device=low.device)
    weights = (1 - distance.abs()).clamp(min=0) * inside[..., None]
    return weights.unflatten(1, (bins, samples)).mean(dim=2)
