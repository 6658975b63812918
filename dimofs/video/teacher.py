"""torchvision's Keypoint R-CNN, trained on COCO, as the teacher of footage without labels."""

from collections.abc import Callable
from http.client import HTTPException

import numpy as np
import torch
from torch import nn
from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights, keypointrcnn_resnet50_fpn

from dimofs.datasets.coco import as_posetrack
from dimofs.datasets.records import DatasetError, Image, Person
from dimofs.training.loop import as_input, device

#: Whose poses these are.
NAME = "torchvision's Keypoint R-CNN, ResNet-50-FPN, trained on COCO"

#: Joints with a smaller heat map logit are not labelled: what Detect-and-Track exports (A23).
LEAST_LOGIT = 1.95


def load_teacher() -> nn.Module:
    """Build the network with its COCO weights, which torchvision downloads once (226 MB).

    Raises DatasetError where they cannot be had.
    """
    weights = KeypointRCNN_ResNet50_FPN_Weights.COCO_V1
    try:
        return keypointrcnn_resnet50_fpn(weights=weights, progress=True)
    except (OSError, HTTPException, RuntimeError) as error:
        raise DatasetError(
            f"{weights.url}: the teacher's weights cannot be downloaded ({error}); put the file into "
            f"{torch.hub.get_dir()}/checkpoints, or give poses of another teacher by --poses"
        ) from None


def teacher(network: nn.Module, score: float) -> Callable[[Image], tuple[Person, ...]]:
    """Bind a Keypoint R-CNN of COCO's joints to the people that it finds in a picture, tracks unknown.

    People with a lower box score than `score` are left out.
    """
    network.eval().to(device())

    def people(image: Image) -> tuple[Person, ...]:
        frame = as_input(torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1), device())
        with torch.inference_mode():
            (found,) = network([frame])
        kept = found["scores"] >= score
        boxes, joints, logits = (
            found[name][kept].float().cpu().numpy() for name in ("boxes", "keypoints", "keypoints_scores")
        )
        poses = np.concatenate([joints[..., :2], (logits >= LEAST_LOGIT)[..., None]], axis=-1)
        made = [as_posetrack(pose, box) for pose, box in zip(poses, boxes, strict=True)]
        return tuple(person for person in made if person is not None)

    return people
