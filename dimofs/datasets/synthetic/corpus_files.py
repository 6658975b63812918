"""Rendered clips of the corpus of actions (`dimofs.datasets.corpus`): as in the JHMDB layout, by other seeds."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dimofs.config import Datasets
from dimofs.datasets.records import JHMDB_CLASSES
from dimofs.datasets.synthetic.jhmdb_files import ActionClip, film, write_video
from dimofs.datasets.synthetic.seeds import stream


@dataclass(frozen=True)
class CorpusClip:
    """One clip of the corpus, to be rendered."""

    root: Path
    name: str  #: "<class>/<clip>"
    take: ActionClip


def corpus_plan(datasets: Datasets, seed: int, root: Path) -> list[CorpusClip]:
    """Clips of all classes of JHMDB; no random stream of theirs is one of that data set's."""
    tasks = []
    for label in JHMDB_CLASSES:
        for index in range(datasets.corpus.clips_per_class):
            name = f"{label}/{index:05d}"
            seeds = stream(seed, "corpus", label, index)
            take = ActionClip(root, label, index, seeds, datasets.frame_size, datasets.corpus.frames, name)
            tasks.append(CorpusClip(root, name, take))
    return tasks


def write_corpus_clip(task: CorpusClip) -> None:
    """Render one clip; nothing but its label and its frames is ever asked for."""
    _, clip, _, quantiser = film(task.take)
    write_video(clip.frames, task.root / "videos" / f"{task.name}.avi", quantiser)


def write_corpus_labels(root: Path, tasks: Sequence[CorpusClip]) -> None:
    """Write the list of the clips."""
    entries = [
        {"video": task.name, "label": JHMDB_CLASSES.index(task.take.label), "frames": task.take.frames}
        for task in tasks
    ]
    (root / "labels.json").write_text(json.dumps(entries), encoding="utf-8")
