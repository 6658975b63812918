"""The corpus of actions: the reader reads what the renderer writes, and it shares nothing with JHMDB's clips."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from dimofs.config import Datasets, load_config
from dimofs.datasets.contact_sheet import contact_sheet
from dimofs.datasets.corpus import read_corpus
from dimofs.datasets.diving48 import decode
from dimofs.datasets.manifest import write_manifest
from dimofs.datasets.records import JHMDB_CLASSES, DatasetError
from dimofs.datasets.synthetic.corpus_files import corpus_plan, write_corpus_clip, write_corpus_labels
from dimofs.datasets.synthetic.jhmdb_files import jhmdb_plan

DATASETS: Datasets = load_config(Path(__file__).parents[3] / "scenarios/smoke/config/config.yaml").datasets


def test_rendered_clips_are_read_with_their_labels(tmp_path: Path) -> None:
    tasks = corpus_plan(DATASETS, 0, tmp_path)[3:5]
    for task in tasks:
        write_corpus_clip(task)
    write_corpus_labels(tmp_path, tasks)
    actions = read_corpus(tmp_path)
    assert [JHMDB_CLASSES[action.label] for action in actions] == [action.name.partition("/")[0] for action in actions]
    for action in actions:
        frames = np.stack(list(decode(action.path, action.frames)))
        assert frames.shape == (DATASETS.corpus.frames, DATASETS.frame_size, DATASETS.frame_size, 3)
        assert frames.std() > 5


def test_the_contact_sheet_shows_a_clip_of_each_class(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    tasks = corpus_plan(DATASETS, 0, root)[3:5]
    for task in tasks:
        write_corpus_clip(task)
    write_corpus_labels(root, tasks)
    write_manifest(root, tmp_path / "corpus.csv")
    contact_sheet(tmp_path / "corpus.csv", tmp_path / "sheet.png")
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None
    assert sheet.std() > 20


def test_a_clip_is_rendered_alike_twice(tmp_path: Path) -> None:
    written = []
    for folder in ("a", "b"):
        task = corpus_plan(DATASETS, 0, tmp_path / folder)[0]
        write_corpus_clip(task)
        written.append((tmp_path / folder / "videos" / f"{task.name}.avi").read_bytes())
    assert written[0] == written[1]


def test_the_plan_has_every_class_and_seeds_of_its_own() -> None:
    plan = corpus_plan(DATASETS, 0, Path("x"))
    assert [task.take.label for task in plan[:: DATASETS.corpus.clips_per_class]] == list(JHMDB_CLASSES)
    keys = [task.take.seeds.spawn_key for task in plan]
    assert len({*keys}) == len(keys)
    assert not {*keys} & {task.seeds.spawn_key for task in jhmdb_plan(DATASETS, 0, Path("x"))}


@pytest.mark.parametrize(
    "entry",
    [
        {"video": "a/b", "label": 21, "frames": 3},
        {"video": "a/b", "label": 0, "frames": 0},
        {"video": 1, "label": 0, "frames": 3},
        {"label": 0, "frames": 3},
        "a/b",
    ],
)
def test_a_bad_entry_is_named(tmp_path: Path, entry: object) -> None:
    (tmp_path / "labels.json").write_text(json.dumps([entry]), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"labels\.json: \[0\] must give"):
        read_corpus(tmp_path)


def test_a_missing_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text('[{"video": "run/0", "label": 11, "frames": 3}]', encoding="utf-8")
    with pytest.raises(DatasetError, match=r"0\.avi: no such video"):
        read_corpus(tmp_path)
