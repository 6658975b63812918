"""Reader of the JHMDB layout: clips of 15 to 40 frames of one actor, 21 classes, three official splits.

    splits/<class>_test_split{1,2,3}.txt               "<clip>.avi <1 train | 2 test>"
    Rename_Images/<class>/<clip>/<5-digit frame>.png   counted from 1
    joint_positions/<class>/<clip>/joint_positions.mat pos_img (2, 15, T), MATLAB pixels: the first is 1
    puppet_mask/<class>/<clip>/puppet_mask.mat         part_mask (H, W, T), 0 or 1

The estimated joint set (no scale and no viewpoint in joint_positions.mat) reads alike. Clip names hold any of `!()+-@`,
so folders are joined, never globbed.
"""

from pathlib import Path

import numpy as np
import scipy.io
from numpy.typing import NDArray

from dimofs.datasets.missing import read_missing
from dimofs.datasets.records import JHMDB_CLASSES, JHMDB_JOINTS, Array, DatasetError, Frame, Person, Video
from dimofs.io import read_together

_UNPACK = "unpack the archive again or correct the file"
_PARTS = {"1": "train", "2": "test"}


def read_jhmdb(root: Path, split: int) -> list[Video]:
    """Read every clip of the official split 1, 2 or 3, sorted by name ("<class>/<clip>").

    See `read_clip` for what a clip becomes. Raises DatasetError for anything that cannot be read as it stands; no clip
    is skipped but those that `MISSING.txt` names, where a partial data set was accepted.
    """
    missing = read_missing(root)
    parts = read_split(root / "splits", split)
    present = [(name, part) for name, part in sorted(parts.items()) if name not in missing]
    return read_together(lambda clip: read_clip(root, *clip), present)


def read_split(folder: Path, split: int) -> dict[str, str]:
    """Read the 21 files of one official split: "<class>/<clip>" → "train" or "test".

    Raises DatasetError for a split other than 1, 2, 3, a missing or empty file, an unknown class or a malformed line.
    """
    if split not in (1, 2, 3):
        raise DatasetError(f"{folder}: JHMDB has the splits 1, 2 and 3, got {split}; correct the configuration")
    ending = f"_test_split{split}.txt"
    for path in sorted(folder.glob(f"*{ending}")):
        class_name = path.name.removesuffix(ending)
        if class_name not in JHMDB_CLASSES and not path.name.startswith("."):
            raise DatasetError(f"{path}: {class_name} is none of the 21 classes of JHMDB; rename or remove the file")
    parts: dict[str, str] = {}
    for class_name in JHMDB_CLASSES:
        parts |= _read_split_file(folder / f"{class_name}{ending}", class_name)
    return parts


def _read_split_file(path: Path, class_name: str) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read ({error}); unpack splits.zip again") from error
    parts: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        file_name, _, flag = line.rstrip().rpartition(" ")
        name = f"{class_name}/{file_name.removesuffix('.avi')}"
        if not file_name.endswith(".avi") or file_name == ".avi" or flag not in _PARTS:
            raise DatasetError(
                f'{path}: line {number} must be "<clip>.avi <flag>" with the flag 1 (train) or 2 (test), got {line!r}; '
                "unpack splits.zip again or correct the line"
            )
        if name in parts:
            raise DatasetError(f"{path}: line {number} lists {file_name} a second time; remove one of the two lines")
        parts[name] = _PARTS[flag]
    if not parts:
        raise DatasetError(f"{path}: lists no clip; unpack splits.zip again")
    return parts


def read_clip(root: Path, name: str, part: str) -> Video:
    """Read one clip, "<class>/<clip>", as a Video of split `part` with its class as label.

    - The box of a frame is the tight box of its mask.
    - Joints are `pos_img` minus 1: 0-based pixels. All 15 are labelled in every frame, for JHMDB gives joints that are
      occluded or outside the image too and has no visibility flag.
    - The one actor has track id 0 and no head box.
    - Masks and joints must cover the same frames, and an image must exist for each. Images past the last mask are kept
      as unlabelled frames, so that a gap δ can still reach them.

    Raises DatasetError naming file and field.
    """
    images = _image_paths(root / "Rename_Images" / name)
    mask_path = root / "puppet_mask" / name / "puppet_mask.mat"
    joint_path = root / "joint_positions" / name / "joint_positions.mat"
    masks = _array(mask_path, "part_mask")
    positions = _array(joint_path, "pos_img").astype(np.float64)

    if positions.shape[:2] != (2, len(JHMDB_JOINTS)):
        raise DatasetError(f"{joint_path}: pos_img must be (2, 15, T), got {positions.shape}; {_UNPACK}")
    if not np.isfinite(positions).all():
        _, joint, frame = np.argwhere(~np.isfinite(positions))[0]
        raise DatasetError(
            f"{joint_path}: pos_img is not finite for the {JHMDB_JOINTS[joint]} in frame {frame + 1}; {_UNPACK}"
        )
    if positions.shape[2] != masks.shape[2]:
        raise DatasetError(
            f"{joint_path}: pos_img has {positions.shape[2]} frames, but part_mask of {mask_path} has "
            f"{masks.shape[2]}; take both from the same release"
        )
    if masks.shape[2] > len(images):
        raise DatasetError(
            f"{mask_path}: part_mask has {masks.shape[2]} frames, but {root / 'Rename_Images' / name} holds "
            f"{len(images)} images; unpack the images of this clip again"
        )
    boxes = mask_boxes(masks)
    if np.isnan(boxes).any():
        frame = int(np.isnan(boxes).any(axis=1).argmax())
        raise DatasetError(f"{mask_path}: part_mask is empty in frame {frame + 1}, so its box is undefined; {_UNPACK}")

    joints = (positions.transpose(2, 1, 0) - 1).astype(np.float32)
    labelled = np.ones(len(JHMDB_JOINTS), bool)
    actors = [Person(0, box, None, points, labelled) for box, points in zip(boxes, joints, strict=True)]
    frames = tuple(
        Frame(path, labelled=position < len(actors), people=tuple(actors[position : position + 1]), ignore_regions=())
        for position, path in enumerate(images)
    )
    return Video(name, part, JHMDB_JOINTS, frames, label=JHMDB_CLASSES.index(name.partition("/")[0]))


def mask_boxes(masks: NDArray[np.generic]) -> Array:
    """Tight boxes (T, 4) float32, x1 y1 x2 y2 with continuous edges, of masks (H, W, T); NaN where a mask is empty.

    0-based: a mask that covers columns 3..7 gives x1 = 3, x2 = 8 (see `dimofs.datasets.records`).
    """
    filled = masks.transpose(2, 1, 0) != 0  # (T, W, H): MATLAB's own order in memory, so both reductions run along it
    columns, rows = filled.any(axis=2), filled.any(axis=1)
    boxes = np.stack(
        [
            columns.argmax(axis=1),
            rows.argmax(axis=1),
            columns.shape[1] - columns[:, ::-1].argmax(axis=1),
            rows.shape[1] - rows[:, ::-1].argmax(axis=1),
        ],
        axis=1,
    ).astype(np.float32)
    boxes[~columns.any(axis=1)] = np.nan
    return boxes


def _image_paths(folder: Path) -> list[Path]:
    try:
        names = sorted(path.name for path in folder.iterdir() if path.suffix == ".png" and path.name[0] != ".")
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be read ({error.strerror}); unpack the images of this clip") from error
    if not names:
        raise DatasetError(f"{folder}: holds no image (*.png); unpack the images of this clip")
    for number, name in enumerate(names, start=1):
        if name != f"{number:05d}.png":
            raise DatasetError(
                f"{folder / f'{number:05d}.png'}: no such image, the next one is {name}; "
                "images must be 00001.png, 00002.png, …: unpack the images of this clip again"
            )
    return [folder / name for name in names]


def _array(path: Path, field: str) -> NDArray[np.generic]:
    """One numeric array (·, ·, T) of a MATLAB file; MATLAB drops the last dimension where T is 1."""
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; unpack the annotations of this clip")
    try:
        array = scipy.io.loadmat(path, variable_names=[field], appendmat=False).get(field)
    except Exception as error:  # scipy answers a damaged file with a dozen unrelated types of error
        raise DatasetError(f"{path}: is not a complete MATLAB 5 file ({error}); {_UNPACK}") from error
    if array is None:
        raise DatasetError(f"{path}: the field {field} is missing; {_UNPACK}")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.dtype.kind not in "buif" or not array.size:
        raise DatasetError(
            f"{path}: {field} must be numbers of shape (·, ·, T), got {array.dtype} of shape {array.shape}; {_UNPACK}"
        )
    return array
