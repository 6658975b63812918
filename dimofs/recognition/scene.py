"""The scene-only control of Table 4: how much of a dive's class the pool alone gives away.

Divers are hidden by discs that tell nothing of their poses (`sidecar.covers`), in the mean colour of what is left.
Frames are looked at one by one, as a 2-D network with average consensus does: nothing tells how the camera moved.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from dimofs.config import Model
from dimofs.datasets.diving48 import Dive, decode
from dimofs.datasets.records import Image
from dimofs.datasets.synthetic.sidecar import covers, load_sidecar
from dimofs.io import read_ahead
from dimofs.model.backbone import Backbone
from dimofs.pairs.loading import network_frames
from dimofs.training.loop import device, encode


def hide(frame: Image, hidden: NDArray[np.bool_]) -> Image:
    """Paint the hidden pixels (H, W) of a frame (H, W, 3) in the mean colour of the others."""
    left = frame[~hidden]
    painted = frame.copy()
    painted[hidden] = np.round(left.mean(axis=0)) if len(left) else 0
    return painted


def scene_descriptors(
    backbone: Backbone, dives: Sequence[Dive], sidecars: Path, frames: int, model: Model
) -> NDArray[np.float64]:
    """Describe N dives by the features of their scenes, (N, scales · C): the mean over pixels and `frames` frames.

    The frames lie evenly over the dive. sidecars: folder of the dives' sidecars, which rendered data alone have.
    """

    def seen(dive: Dive) -> list[Image]:
        chosen = np.unique(np.linspace(0, dive.frames - 1, frames).astype(int)).tolist()
        hidden = covers(load_sidecar(sidecars / f"{dive.name}.npz"))[chosen]
        return [hide(*pair) for pair in zip(decode(dive.path, dive.frames, chosen), hidden, strict=True)]

    backbone.eval().to(device())
    described = []
    with torch.inference_mode():
        for scenes in tqdm(read_ahead(seen, dives), total=len(dives), desc="scenes", unit="dive", dynamic_ncols=True):
            images, _, _ = network_frames(scenes, model)
            levels = encode(backbone, images)
            described.append(torch.cat([level.mean(dim=(0, 2, 3)) for level in levels]).cpu().numpy())
    return np.stack(described).astype(np.float64)
