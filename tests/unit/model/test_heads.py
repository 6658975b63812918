"""The head's own parts compute what torchvision's do."""

import pytest
import torch
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNPredictor

from dimofs.model.heads import KeypointPredictor


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
