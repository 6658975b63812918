"""The head's own parts compute what torchvision's do."""

from pathlib import Path

import pytest
import torch
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNPredictor

from dimofs.config import load_config
from dimofs.model.backbone import STRIDES
from dimofs.model.heads import KeypointPredictor, image_list, proposal_network, pyramid, region_heads


@pytest.mark.parametrize(("height", "width"), [(14, 14), (3, 5), (1, 1)])
def test_heat_maps_and_their_gradients_are_those_of_torchvision(height: int, width: int) -> None:
    torch.manual_seed(0)
    ours, theirs = KeypointPredictor(8, 5), KeypointRCNNPredictor(8, 5)
    theirs.load_state_dict(ours.state_dict())
    gradient = torch.randn(3, 5, 4 * height, 4 * width)
    found = []
    for predictor in (ours, theirs):
        torch.manual_seed(1)
        x = torch.randn(3, 8, height, width, requires_grad=True)
        maps = predictor(x)
        maps.backward(gradient)
        found.append((maps, x.grad, predictor.kps_score_lowres.weight.grad))
    for own, reference in zip(*found, strict=True):
        torch.testing.assert_close(own, reference, rtol=1e-4, atol=1e-4)


def test_heat_maps_are_not_rounded_in_mixed_precision() -> None:
    """Their largest value is a place: rounded to 8 bits, neighbours would tie."""
    torch.manual_seed(0)
    predictor = KeypointPredictor(8, 5)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        maps = predictor(torch.randn(2, 8, 14, 14))
    assert maps.dtype == torch.float32
    assert (maps != maps.bfloat16()).float().mean() > 0.9


MODEL = load_config(Path(__file__).parents[3] / "config/config.yaml").model


def test_anchors_stand_on_the_cells_of_an_oblong_frame() -> None:
    """Three a cell, from cell to cell a stride, of the level's area and as wide as high, twice or half."""
    features = [torch.randn(1, 8, 64 // stride, 128 // stride) for stride in STRIDES]
    levels, images = pyramid(features), image_list(features, [(60, 120)])
    assert torch.equal(levels["pool"], features[-1][:, :, :1, ::2])
    assert images.image_sizes == [(60, 120)]
    (anchors,) = proposal_network(MODEL, 5).anchor_generator(images, list(levels.values()))
    counts = [3 * level[0, 0].numel() for level in levels.values()]
    for boxes, stride, size, level in zip(
        anchors.split(counts), (*STRIDES, 64), MODEL.anchor_sizes, levels.values(), strict=True
    ):
        centres, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        rows, columns = level.shape[-2:]
        assert centres.amax(0).tolist() == [stride * (columns - 1), stride * (rows - 1)]
        torch.testing.assert_close(sides.prod(1).sqrt(), torch.full((len(sides),), float(size)), rtol=0.05, atol=0.5)
        ratios = (sides[:3, 1] / sides[:3, 0]).sort().values
        torch.testing.assert_close(ratios, torch.tensor([0.5, 1.0, 2.0]), rtol=0.15, atol=0)


def test_the_settings_reach_the_parts_that_they_are_about() -> None:
    changed = {"proposals_train": 7, "score_threshold": 0.125, "nms_threshold": 0.75, "rois_per_image": 16}
    model = MODEL.model_copy(update=changed)
    proposals = proposal_network(model, 3)
    assert (proposals.train().post_nms_top_n(), proposals.eval().post_nms_top_n()) == (7, 3)
    empty = torch.nn.Identity()
    heads = region_heads(model, empty, empty, empty, nms_threshold=0.375, positive_fraction=0.4375)
    assert (heads.nms_thresh, heads.score_thresh) == (0.375, 0.125)
    assert (heads.fg_bg_sampler.batch_size_per_image, heads.fg_bg_sampler.positive_fraction) == (16, 0.4375)
    overlaps = torch.tensor([[0.29, 0.31, 0.69, 0.71, 0.9]])  # -1 is background, -2 neither, 0 the one person
    assert proposals.proposal_matcher(overlaps).tolist() == [-1, -2, -2, 0, 0]
    assert heads.proposal_matcher(torch.tensor([[0.49, 0.51, 0.71]])).tolist() == [-1, 0, 0]
