"""Textures: photographs, procedural surfaces, cloth, skin and hair. All colours are BGR, uint8."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dimofs.datasets.records import DatasetError

#: A picture or part of one, uint8; and any other array, float32. Types are no narrower because OpenCV's are not.
Picture = NDArray[Any]
Array = NDArray[Any]


#: Rows (along the part) and columns (around it, column 0 faces the front) of the texture of one body part.
ROWS, COLUMNS = 24, 32  # columns: a power of two
TEXELS = ROWS * COLUMNS


@cache
def photographs() -> tuple[Picture, ...]:
    """The two photographs that scikit-learn bundles, (427, 640, 3) each.

    Raises DatasetError where scikit-learn or the photographs in it are missing.
    """
    # Found without an import of the package, which would cost every worker seconds.
    package = find_spec("sklearn")
    folder = Path(package.origin or "").parent / "datasets" / "images" if package else Path("sklearn")
    found = []
    for name in ("china.jpg", "flower.jpg"):
        picture = cv2.imread(str(folder / name))
        if picture is None:
            raise DatasetError(f"{folder / name}: cannot be read; install scikit-learn, whose photograph it is, again")
        found.append(picture)
    return tuple(found)


def colour(rng: np.random.Generator, saturation: float = 1.0) -> Array:
    """One random colour, (3,) float32 in 0..255: any hue, dull ones common, the more so the smaller `saturation`."""
    hue, grey, value = rng.uniform(0, 180), 255 * saturation * rng.beta(1.2, 1.8), 255 * rng.uniform(0.15, 1)
    pixel = np.array([[[hue, grey, value]]], np.uint8)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0].astype(np.float32)


@cache
def _noise_field() -> Array:
    """The noise that all windows are cut from: 512 × 512 texels, 32 cells a side and four finer octaves."""
    rng = np.random.default_rng(1812_04172)
    field = np.zeros((512, 512), np.float32)
    for octave in range(5):
        cells = 32 << octave
        field += cv2.resize(
            rng.standard_normal((cells, cells), np.float32) * np.float32(0.6**octave),
            (512, 512),
            interpolation=cv2.INTER_CUBIC,
        )
    return field


def noise(rng: np.random.Generator, height: int, width: int, cells: int) -> Array:
    """Cloudy noise, (height, width) float32 about 0 with a spread of about 1: a random window of so many cells."""
    side = 16 * cells
    top, left = rng.integers(0, 512 - side, 2)
    window = _noise_field()[top : top + side, left : left + side]
    return cv2.resize(window, (width, height), interpolation=cv2.INTER_AREA if side > width else cv2.INTER_CUBIC)


def _blend(weight: Array, first: Array, second: Array) -> Array:
    """Mix two colours by a map of weights, clipped to 0..1: (H, W) → (H, W, 3) float32."""
    ramp = second + np.linspace(0, 1, 64, dtype=np.float32)[:, None] * (first - second)
    return ramp.take((np.clip(weight, 0, 1) * 63.99).astype(np.intp), axis=0)


def pattern(rng: np.random.Generator, height: int, width: int, saturation: float = 1.0) -> Array:
    """A procedural surface (noise, stripes, tiles or a gradient), (height, width, 3) float32 in 0..255."""
    first, second = colour(rng, saturation), colour(rng, saturation)
    x, y = np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]
    kind = rng.choice(("noise", "stripes", "tiles", "gradient"), p=(0.4, 0.15, 0.2, 0.25))
    weight: Array
    if kind == "noise":
        weight = 0.5 + 0.35 * noise(rng, height, width, cells=int(rng.integers(2, 12)))
    elif kind == "stripes":
        angle, period = rng.uniform(0, np.pi), rng.uniform(0.03, 0.25) * width
        wave = np.sin((x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))) * np.float32(2 * np.pi / period))
        weight = 0.5 + np.float32(rng.uniform(0.5, 3)) * wave
    elif kind == "tiles":
        tall, wide = rng.uniform(0.04, 0.2, 2) * height
        row = np.floor(y / tall)
        along = x + row * np.float32(wide / 2)
        joint = np.maximum(np.abs(np.mod(y, tall) / tall - 0.5), np.abs(np.mod(along, wide) / wide - 0.5))
        weight = (joint < 0.46) * (0.85 + 0.15 * np.sin(17 * row + 5 * np.floor(along / wide)))
    else:
        weight = (x * rng.uniform(-1, 1) / width + y * rng.uniform(-1, 1) / height) + 0.5
    grain = 1 + np.float32(rng.uniform(0.02, 0.12)) * noise(rng, height, width, cells=6)
    return _blend(weight.astype(np.float32), first, second) * grain[..., None]


def photo(rng: np.random.Generator, height: int, width: int) -> Array:
    """A random crop of a photograph, flipped and recoloured, (height, width, 3) float32 in 0..255."""
    source = photographs()[rng.integers(2)]
    side = int(rng.uniform(0.3, 1) * source.shape[0])
    top, left = rng.integers(source.shape[0] - side + 1), rng.integers(source.shape[1] - side + 1)
    crop = source[top : top + side, left : left + side]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    if rng.random() < 0.15:
        crop = crop[..., rng.permutation(3)]
    crop = cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA if side > height else cv2.INTER_LINEAR)
    if rng.random() < 0.4:  # duller
        grey = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        crop = cv2.addWeighted(crop, share := rng.uniform(0, 0.8), grey, 1 - share, 0)
    levels = 255 * np.linspace(0, 1, 256)[:, None] ** rng.uniform(0.6, 1.5) * rng.uniform(0.75, 1.15, 3)
    return cv2.LUT(crop, np.clip(levels, 0, 255).astype(np.float32)[None])


def _bytes(surface: Array) -> Picture:
    return cv2.convertScaleAbs(np.maximum(surface, 0))


def backdrop(rng: np.random.Generator, size: int) -> Picture:
    """What stands behind a scene, (size, size, 3): a photograph or a procedural wall, with panels and posters on it."""
    surface = photo(rng, size, size) if rng.random() < 0.6 else pattern(rng, size, size, 0.3)
    for _ in range(rng.integers(0, 4)):
        tall, wide = (int(side) for side in rng.integers(size // 16, size // 2, 2))
        top, left = rng.integers(size - tall), rng.integers(size - wide)
        patch = photo(rng, tall, wide) if rng.random() < 0.3 else pattern(rng, tall, wide, 0.3)
        surface[top : top + tall, left : left + wide] = patch
    return cv2.GaussianBlur(_bytes(surface), (0, 0), rng.uniform(1, 6))  # out of focus behind the people


def ground(rng: np.random.Generator, size: int) -> Picture:
    """What people stand on, (size, size, 3), repeating without a seam: lawn, sand, boards, tiles, a line of a court."""
    half = size // 2
    surface = pattern(rng, half, half, 0.3)
    surface = surface.mean((0, 1)) + np.float32(rng.uniform(0.2, 0.5)) * (surface - surface.mean((0, 1)))
    surface *= 1 + np.float32(rng.uniform(0.02, 0.2)) * noise(rng, half, half, cells=16)[..., None]
    if rng.random() < 0.4:
        across, width = rng.integers(half), max(1, half // 40)
        surface[:, across : across + width] = colour(rng)
    surface = np.concatenate([surface, surface[:, ::-1]], 1)
    return _bytes(np.concatenate([surface, surface[::-1]], 0))


def _cloth(rng: np.random.Generator) -> Array:
    """A repeating cloth of 64 × 64 texels, float32."""
    base, second = colour(rng), colour(rng)
    x, y = np.arange(64)[None], np.arange(64)[:, None]
    kind = rng.choice(("plain", "across", "along", "plaid", "noise", "print"), p=(0.75, 0.07, 0.04, 0.04, 0.05, 0.05))
    period = 64 / rng.integers(2, 9)
    across, along = np.mod(y, period) / period < 0.5, np.mod(x, period) / period < 0.5
    if kind == "plain":
        weight: Array = np.ones((64, 64))
    elif kind == "across":
        weight = np.repeat(across, 64, 1)
    elif kind == "along":
        weight = np.repeat(along, 64, 0)
    elif kind == "plaid":
        weight = 0.5 * across + 0.5 * along
    elif kind == "noise":
        weight = 0.5 + 0.8 * noise(rng, 64, 64, cells=6)
    else:  # a print on the chest
        weight = np.hypot((x - 32) / 10, (y - 36) / 12) > 1
    folds = 1 + 0.07 * noise(rng, 64, 64, cells=4)
    return _blend(np.asarray(weight, np.float32), base, second) * folds[..., None]


_SKIN = np.array(
    [(199, 217, 244), (150, 182, 228), (105, 145, 200), (72, 105, 160), (50, 75, 120), (34, 50, 82)], np.float32
)
_HAIR = np.array(
    [(20, 22, 26), (35, 45, 65), (50, 75, 110), (95, 150, 190), (60, 80, 150), (165, 165, 165)], np.float32
)


#: Where the rows and columns of a part's texture lie: along the axis (0..1, beyond that on the caps) and about it.
_ROW = np.linspace(-0.2, 1.2, ROWS, dtype=np.float32)[:, None, None]
_ANGLE = ((np.arange(COLUMNS) + 0.5) * (2 * np.pi / COLUMNS)).astype(np.float32)[None, :, None]


def texel(t: Array, over: Array, angle: Array) -> NDArray[np.intp]:
    """Index into a flattened texture, (N,), of points of a surface (`outlines.locate`); `angle` is from the front."""
    column = ((angle + np.float32(4 * np.pi)) * np.float32(COLUMNS / (2 * np.pi))).astype(np.intp) & (COLUMNS - 1)
    row = ((t + over * np.float32(0.2) + np.float32(0.2)) * np.float32((ROWS - 0.01) / 1.4)).astype(np.intp)
    return row * COLUMNS + column


def _complexion(rng: np.random.Generator) -> tuple[Array, Array]:
    """Skin and hair of a random person, (3,) each."""
    tone = rng.uniform(0, len(_SKIN) - 1)
    low = int(tone)
    skin = (1 - tone + low) * _SKIN[low] + (tone - low) * _SKIN[min(low + 1, len(_SKIN) - 1)]
    hair = _HAIR[rng.integers(len(_HAIR))] * rng.uniform(0.7, 1.2)
    if rng.random() < 0.15:  # cap, helmet, scarf or dyed hair
        hair = colour(rng)
    return skin, hair


def _head(rng: np.random.Generator, skin: Array, hair: Array, bare: Array) -> Array:
    """A face in front and hair behind, (ROWS, COLUMNS, 3) float32."""
    facing = np.cos(_ANGLE)
    head = np.where((_ROW > 0.72) | (facing < rng.uniform(-0.3, 0.25)), hair, bare)
    eyes = (np.abs(_ROW - 0.42) < 0.1) & (np.abs(np.abs(np.sin(_ANGLE)) - 0.4) < 0.16) & (facing > 0)
    mouth = (np.abs(_ROW + 0.05) < 0.05) & (facing > 0.9)
    head = np.where(eyes, skin * 0.25, np.where(mouth, skin * np.array((0.6, 0.5, 0.8), np.float32), head))
    if rng.random() < 0.15:  # beard
        head = np.where((_ROW < 0.12) & (facing > -0.1), hair, head)
    return head


def person_atlas(rng: np.random.Generator) -> tuple[Picture, bool]:
    """Clothes, skin and hair of a random person.

    Returns the textures of the parts of `body.PARTS`, (18, ROWS, COLUMNS, 3) uint8, and whether there is a ponytail.
    Left and right limbs wear the same cloth: sides are told apart by anatomy alone.
    """
    skin, hair = _complexion(rng)
    top, bottom, shoe = _cloth(rng), _cloth(rng), colour(rng)
    if rng.random() < 0.12:  # overall, dress, suit
        bottom = top
    sleeve = rng.choice((0.0, 0.45, 0.9, 2.0), p=(0.1, 0.4, 0.1, 0.4))  # in arm halves: none, short, elbow, long
    leg = rng.choice((0.35, 0.8, 1.3, 2.0), p=(0.1, 0.25, 0.1, 0.55))  # shorts, knee, calf, long

    rows, facing = _ROW, np.cos(_ANGLE)
    grain = (1 + 0.03 * noise(rng, ROWS, COLUMNS, cells=8))[..., None]
    bare = skin * grain

    def wrap(cloth: Array, start: int, rows_taken: int, columns_taken: int) -> Array:
        piece = cloth[np.arange(start, start + rows_taken) % 64][
            :, (np.arange(columns_taken) - columns_taken // 2 + 32) % 64
        ]
        return cv2.resize(piece, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)

    # Column 0 is the front, so the print of a shirt (centre column) is rolled there.
    shirt = np.roll(wrap(top, 12, 48, 64), COLUMNS // 2, axis=1)[::-1]
    trousers = np.roll(wrap(bottom, 0, 24, 64), COLUMNS // 2, axis=1)
    arm, thigh, shin = wrap(top, 0, 40, 24), wrap(bottom, 0, 64, 32), wrap(bottom, 32, 64, 32)

    head = _head(rng, skin, hair, bare)
    belt = rng.uniform(0.4, 1.1)
    atlas = [
        np.where(rows > belt, shirt, trousers),
        np.where((rows > 1.12) & (facing > 0.5), bare, shirt),
        bare * 0.92,
        head,
        bare * 1.05,
        np.broadcast_to(hair, bare.shape),
        *2 * [np.where(rows < sleeve, arm, bare)],
        *2 * [np.where(rows + 1 < sleeve, arm, bare)],
        *2 * [bare],
        *2 * [np.where(rows < leg, thigh, bare)],
        *2 * [np.where(rows + 1 < leg, shin, bare)],
        *2 * [np.where(rows < 2, shoe * grain, bare)],
    ]
    return _bytes(np.stack(atlas).reshape(-1, COLUMNS * 3)).reshape(-1, ROWS, COLUMNS, 3), bool(rng.random() < 0.25)


def diver_atlas(rng: np.random.Generator) -> Picture:
    """Swimwear (briefs, or a suit that covers the trunk), skin and hair: (18, ROWS, COLUMNS, 3) as `person_atlas`."""
    skin, hair = _complexion(rng)
    cloth = cv2.resize(_cloth(rng), (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    grain = (1 + 0.03 * noise(rng, ROWS, COLUMNS, cells=8))[..., None]
    bare = skin * grain
    suit = bool(rng.random() < 0.5)
    waist = 2.0 if suit else rng.uniform(0.25, 0.6)
    neckline = rng.uniform(0.6, 0.95) if suit else -2.0
    straps = np.abs(np.abs(np.sin(_ANGLE)) - 0.5) < 0.2
    leg = rng.uniform(-0.1, 0.15)
    atlas = [
        np.where(waist > _ROW, cloth, bare),
        np.where((neckline > _ROW) | (suit & straps & (_ROW < 1.15)), cloth, bare),
        bare * 0.92,
        _head(rng, skin, hair, bare),
        bare * 1.05,
        np.broadcast_to(hair, bare.shape),
        *6 * [bare],
        *2 * [np.where(leg > _ROW, cloth, bare)],
        *4 * [bare],
    ]
    return _bytes(np.stack(atlas).reshape(-1, COLUMNS * 3)).reshape(-1, ROWS, COLUMNS, 3)


def water(rng: np.random.Generator, size: int) -> Picture:
    """The surface of a pool, (size, size, 3), repeating without a seam: green to blue, some ripples bright."""
    half = size // 2
    hue, grey, value = rng.uniform(80, 112), rng.uniform(90, 220), rng.uniform(110, 220)
    base = cv2.cvtColor(np.array([[[hue, grey, value]]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0].astype(np.float32)
    ripples = cv2.resize(noise(rng, half // 4, half, cells=24), (half, half), interpolation=cv2.INTER_CUBIC)
    surface = base * (1 + np.float32(rng.uniform(0.05, 0.18)) * ripples[..., None])
    surface += np.float32(rng.uniform(0, 60)) * np.clip(ripples - 1.2, 0, 1)[..., None]
    surface = np.concatenate([surface, surface[:, ::-1]], 1)
    return _bytes(np.concatenate([surface, surface[::-1]], 0))


def spray(rng: np.random.Generator) -> Picture:
    """White water in the air, (ROWS, COLUMNS, 3)."""
    return _bytes(225 + 18 * np.repeat(noise(rng, ROWS, COLUMNS, cells=8)[..., None], 3, 2))


def object_texture(rng: np.random.Generator) -> Picture:
    """The texture of a thing, (ROWS, COLUMNS, 3)."""
    surface = photo(rng, ROWS, COLUMNS) if rng.random() < 0.3 else pattern(rng, ROWS, COLUMNS)
    return _bytes(surface)
