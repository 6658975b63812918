"""The still-image initialisation from weights that others trained and torchvision publishes (A12)."""

import hashlib
from pathlib import Path
from urllib.error import URLError

import torch
from torchvision.models import ResNet50_Weights, ResNet101_Weights
from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights

from dimofs.config import Config
from dimofs.model.pose_detector import PoseDetector
from dimofs.pose.pretrain import build_detector
from dimofs.training.checkpoint import CheckpointError, fill

#: By what they were trained on and the backbone. ImageNet's first version is the recipe of the baseline's own time.
PUBLISHED = {
    ("imagenet", "resnet50"): ResNet50_Weights.IMAGENET1K_V1,
    ("imagenet", "resnet101"): ResNet101_Weights.IMAGENET1K_V1,
    ("coco_keypoints", "resnet50"): KeypointRCNN_ResNet50_FPN_Weights.COCO_V1,
}

#: What frozen normalisation adds to the variance; torchvision's detectors were trained without (their eps is 0).
NORM_EPS = 1e-5


def published_detector(config: Config, seed: int) -> tuple[PoseDetector, dict[str, str]]:
    """Build the `still` network with the published weights of the configuration; what they lack is random by `seed`.

    ImageNet gives the backbone's residual stages, COCO keypoints everything. Returns the network and where its weights
    are from: `weights` (torchvision's name), `url` and `sha256` of the file.
    Raises CheckpointError when the file cannot be had, or is not the one that was published.
    """
    torch.manual_seed(seed)
    detector = build_detector(config, "still")
    source = config.pretrain.initial_weights
    published = PUBLISHED[source, config.model.backbone]
    state, digest = _fetch(published.url)
    if source == "imagenet":
        own = {f"backbone.body.{name}": value for name, value in state.items() if not name.startswith("fc.")}
        fill(detector, own, published.url, parts=("backbone.body.",))
    else:
        detector.load_state_dict(state)
        for name, buffer in detector.named_buffers():
            if name.endswith("running_var"):
                buffer -= NORM_EPS
    return detector, {"weights": str(published), "url": published.url, "sha256": digest}


def _fetch(url: str) -> tuple[dict[str, torch.Tensor], str]:
    """Load a file of torchvision's, from torch's cache or else the network; its name ends in its hash."""
    file = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    try:
        state = torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    except (URLError, OSError) as error:
        raise CheckpointError(f"{file}: no such file, and {url} could not be had ({error}); put it there") from error
    except RuntimeError as error:
        raise CheckpointError(f"{url}: what it gave is not the published file ({error}); try again") from error
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if not digest.startswith(file.stem.rpartition("-")[2]):  # a file that was there before is not checked by torch
        raise CheckpointError(f"{file}: has another hash than its name says; remove it, and it is fetched again")
    return state, digest
