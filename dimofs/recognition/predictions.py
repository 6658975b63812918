"""What every row of Table 4 says about the test dives: one file a row, `results/recognition/<name>.parquet`.

Names stand in `config/recognition.tsv`: tsn_rgb, tsn_flow (TSN with RGB and flow), trn, init_pose, init_pose_flow and
init_pose_dimofs (Ours-init), final (Ours-final), r2plus1d (without pre-training), c3d, r2plus1d_pretrained, and fusion
(Ours-final and r2plus1d_pretrained). The control that sees the scene alone writes the same kind of file, scene_only.

Who has something to choose, such as the weight of a fusion, does so on the dives that `hold_out` keeps from the
training, never on test dives.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dimofs.datasets.diving48 import Dive
from dimofs.datasets.records import DIVING48_CLASSES, DatasetError
from dimofs.io import write_parquet
from dimofs.metrics import Recognised, count_recognised

#: How many labels the vocabulary has; V2 leaves one of them without a dive.
LABELS = len(DIVING48_CLASSES)

_HELD_OUT = 5  # every n-th source video of the training dives


def source_video(dive: Dive) -> str:
    """Name the recording that a dive was cut from: its dives share pool, camera and divers."""
    return dive.name.rpartition("_")[0]


def hold_out(dives: Sequence[Dive]) -> tuple[list[Dive], list[Dive]]:
    """Part the training dives in those to fit on and those to choose by, in their order; test dives are in neither.

    Every fifth source video, by name, is held out whole: the test dives are of other source videos, too.

    Raises DatasetError where the training dives are of one source video.
    """
    training = [dive for dive in dives if dive.split == "train"]
    sources = sorted({source_video(dive) for dive in training})
    if len(sources) < 2:
        raise DatasetError("the training dives are of fewer than two source videos, so none can be held out")
    held = set(sources[::_HELD_OUT])
    fitted = [dive for dive in training if source_video(dive) not in held]
    return fitted, [dive for dive in training if source_video(dive) in held]


def write_predictions(dives: Sequence[Dive], scores: ArrayLike, path: Path) -> None:
    """Write the scores (N, LABELS) of N dives: log-probabilities or logits of every label of the vocabulary.

    Columns: video (str), label (int32, the official one), scores (list of LABELS float32); sorted by video.

    Raises DatasetError where scores do not fit the dives or are not finite.
    """
    values = np.asarray(scores, np.float32)
    if values.shape != (len(dives), LABELS) or not np.isfinite(values).all():
        raise DatasetError(f"{path}: needs {len(dives)} × {LABELS} finite scores, got {values.shape}")
    table = pd.DataFrame(
        {
            "video": [dive.name for dive in dives],
            "label": np.array([dive.label for dive in dives], np.int32),
            "scores": list(values),
        }
    )
    write_parquet(table.sort_values("video", kind="stable", ignore_index=True), path)


def read_predictions(path: Path, dives: Sequence[Dive]) -> NDArray[np.float32]:
    """Read the scores (N, LABELS) of N dives, in their order.

    Raises DatasetError where the file is none of `write_predictions`, or is not of exactly these dives and labels.
    """
    try:
        table = pd.read_parquet(path, columns=["video", "label", "scores"])
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read as predictions ({error}); make it again") from error
    expected = sorted((dive.name, dive.label) for dive in dives)
    if list(zip(table["video"], table["label"], strict=True)) != expected:
        raise DatasetError(f"{path}: is not of these {len(dives)} dives with these labels; make it again")
    if any(len(row) != LABELS for row in table["scores"]):
        raise DatasetError(f"{path}: column scores must list {LABELS} numbers; make it again")
    place = {video: row for row, video in enumerate(table["video"])}
    values = np.stack(table["scores"].to_list()).astype(np.float32)
    return values[[place[dive.name] for dive in dives]]


def judge(scores: ArrayLike, dives: Sequence[Dive]) -> Recognised:
    """Count the recognised of N dives by source video and class, for `metrics.top1` and `statistics.resampled_top1`.

    scores: (N, LABELS); of equal scores the first label counts. Source videos are in the order of their names.
    """
    sources = sorted({source_video(dive) for dive in dives})
    group = [sources.index(source_video(dive)) for dive in dives]
    return count_recognised(np.asarray(scores).argmax(axis=1), [dive.label for dive in dives], group, LABELS)
