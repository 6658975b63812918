"""What only a renderer knows, one `.npz` a clip: where every part is seen, its outline and depth; and the flow.

Readers of the official layouts never look at these files.
"""

import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dimofs.datasets.records import DatasetError
from dimofs.datasets.synthetic.body import PARTS
from dimofs.datasets.synthetic.outlines import Outlines, locate, point
from dimofs.datasets.synthetic.render import Clip
from dimofs.datasets.synthetic.texture import Array, Picture
from dimofs.io import replacing


@dataclass(frozen=True)
class Sidecar:
    """T frames of P solids: the 18 `body.PARTS` of every person in track order, then things. Pixels, 0-based."""

    parts: Picture  #: (T, H, W): 0 background, k + 1 where solid k is in front
    people: int  #: M; solid k < 18 · M is part k mod 18 of person k // 18, whose track id that is
    outlines: Outlines


def write_sidecar(clip: Clip, path: Path) -> None:
    """Write the sidecar of a rendered clip."""
    shapes = {field.name: getattr(clip.outlines, field.name) for field in fields(Outlines)}
    # The map shrinks to a twentieth, the numbers of the outlines hardly at all: it alone is worth the time.
    packed = np.frombuffer(zlib.compress(clip.parts.tobytes(), 1), np.uint8)
    with replacing(path) as temporary:
        np.savez(temporary, map=packed, shape=clip.parts.shape, people=np.uint8(clip.joints.shape[1]), **shapes)


def load_sidecar(path: Path) -> Sidecar:
    """Read a sidecar. Raises DatasetError where the file is missing or is none."""
    try:
        with np.load(path) as arrays:
            shapes = Outlines(**{field.name: arrays[field.name] for field in fields(Outlines)})
            unpacked = np.frombuffer(zlib.decompress(arrays["map"].tobytes()), np.uint8)
            return Sidecar(unpacked.reshape(arrays["shape"]), int(arrays["people"]), shapes)
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetError(f"{path}: not a sidecar of a rendered clip ({error}); render the data set again") from error


def person_masks(sidecar: Sidecar, frame: int) -> NDArray[np.bool_]:
    """The visible pixels of every person in a frame, (M, H, W); person m has track id m."""
    person = (sidecar.parts[frame].astype(np.int64) - 1) // len(PARTS)
    return person == np.arange(sidecar.people)[:, None, None]


def covers(sidecar: Sidecar, margin: float = 4.0) -> NDArray[np.bool_]:
    """Discs (T, H, W) that hide the people of a clip and say nothing about their poses: for scene-only controls.

    A silhouette that is cut out still shows the pose. So each person's disc is as large in every frame, by `margin`
    pixels more than the farthest that the person ever reaches from the middle of the body in the clip, and it lies
    round that middle: the parts' middles, weighted by the area of their outlines.
    """
    frames, height, width = sidecar.parts.shape
    shapes = sidecar.outlines
    x, y = np.arange(width), np.arange(height)[:, None]
    hidden = np.zeros((frames, height, width), bool)
    for person in range(sidecar.people):
        own = slice(person * len(PARTS), (person + 1) * len(PARTS))
        seen = (sidecar.parts > own.start) & (sidecar.parts <= own.stop)
        area = (shapes.axes()[1] + shapes.cap.sum(-1)) * shapes.width.sum(-1)
        weight = (area * shapes.drawn)[:, own, None]
        middle = (weight * (shapes.start + shapes.end)[:, own] / 2).sum(1) / np.maximum(weight.sum(1), 1e-6)
        distance = np.hypot(x - middle[:, 0, None, None], y - middle[:, 1, None, None])
        reach = distance[seen].max(initial=0)
        shown = np.any(shapes.drawn[:, own], axis=1)
        hidden |= (distance <= reach + margin) & shown.reshape(-1, 1, 1)
    return hidden


def depth_order(sidecar: Sidecar, frame: int) -> NDArray[np.intp]:
    """The solids of a frame from far to near, as they were drawn."""
    order = np.argsort(-sidecar.outlines.depth[frame], kind="stable")
    return order[sidecar.outlines.drawn[frame, order]]


def person_flow(sidecar: Sidecar, a: int, b: int) -> tuple[Array, NDArray[np.bool_]]:
    """Where every visible point of a person's surface in frame a is in frame b.

    Returns:
        Flow (H, W, 2) float32, pixels (dx, dy) from frame a to frame b, zero where not valid; and valid (H, W) bool:
        the pixels of people in frame a. A point counts wherever it is in frame b: hidden, turned away or outside the
        frame.
    """
    people = sidecar.parts[a] <= len(PARTS) * sidecar.people
    return _surface_flow(sidecar, a, b, people & (sidecar.parts[a] > 0))


def thing_flow(sidecar: Sidecar, a: int, b: int) -> tuple[Array, NDArray[np.bool_]]:
    """The same for things: all that is neither a person nor wall nor ground, what people hold or throw included."""
    return _surface_flow(sidecar, a, b, sidecar.parts[a] > len(PARTS) * sidecar.people)


def _surface_flow(sidecar: Sidecar, a: int, b: int, valid: NDArray[np.bool_]) -> tuple[Array, NDArray[np.bool_]]:
    parts = sidecar.parts[a]
    y, x = np.nonzero(valid)
    solid = parts[y, x].astype(np.intp) - 1
    table = sidecar.outlines.table()
    here, there = table[a][:, solid], table[b][:, solid]
    t, over, v = locate(here, x.astype(np.float32), y.astype(np.float32))
    moved = point(there, t, over, np.sin(np.arcsin(v) + here[9] - there[9]))
    flow = np.zeros((*parts.shape, 2), np.float32)
    flow[y, x] = np.stack(moved, -1) - np.stack([x, y], -1)
    return flow, valid
