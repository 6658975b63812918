"""Rendered dives on disk: the official layout, read by the official reader; scenes that say nothing about the class."""

import hashlib
import json
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from dimofs.config import CorpusSize, Datasets, Diving48Size, JhmdbSize, MotionCaptureSize, PoseTrackSize, StillsSize
from dimofs.datasets.contact_sheet import contact_sheet
from dimofs.datasets.diving48 import read_diving48, read_frames, read_vocabulary
from dimofs.datasets.manifest import write_manifest
from dimofs.datasets.records import DIVING48_CLASSES
from dimofs.datasets.synthetic.body import PARTS
from dimofs.datasets.synthetic.diving48_files import EMPTY, DiveClip, diving48_plan, write_dive, write_labels
from dimofs.datasets.synthetic.sidecar import covers, load_sidecar, person_masks


def sizes(**changes: int) -> Datasets:
    values = {"train_clips_per_class": 2, "test_clips_per_class": 1, "train_videos": 5, "test_videos": 3} | changes
    return Datasets(
        footage=None,
        source="rendered",
        accept_terms=(),
        accept_partial=False,
        frame_size=64,
        posetrack18=PoseTrackSize(train_videos=1, val_videos=1, frames=2, labelled_frames=1, val_label_step=1),
        stills=StillsSize(images=1),
        jhmdb=JhmdbSize(clips_per_class=3, min_frames=2, max_frames=2),
        diving48=Diving48Size(frame_rate=12, **values),
        corpus=CorpusSize(clips_per_class=1, frames=2),
        motion_capture=MotionCaptureSize(videos=1),
    )


def some(root: Path, seed: int = 5) -> list[DiveClip]:
    return diving48_plan(sizes(), seed, root)[::16]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every sixteenth clip of the plan."""
    root = tmp_path_factory.mktemp("datasets") / "diving48"
    root.mkdir()
    for task in some(root):
        write_dive(task)
    write_labels(root, some(root))
    write_manifest(root, root.with_suffix(".csv"))
    return root


def digests(root: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*.*") if path.is_file()}


def test_it_is_read_by_the_official_reader(rendered: Path) -> None:
    dives = read_diving48(rendered, "V2")
    assert [(dive.name, dive.split, dive.label) for dive in dives] == [
        (task.name, task.split, task.label) for task in some(rendered)
    ]
    assert read_vocabulary(rendered) == DIVING48_CLASSES
    for dive in dives:
        frames = list(read_frames(dive))
        assert len(frames) == dive.frames
        assert all(frame.shape == (64, 64, 3) and frame.dtype == np.uint8 for frame in frames)
        assert frames[0].std() > 3


def test_the_label_files_have_the_official_fields(rendered: Path, samples: Path) -> None:
    for split in ("train", "test"):
        ours, official = (
            json.loads((root / f"Diving48_V2_{split}.json").read_text()) for root in (rendered, samples / "diving48")
        )
        assert {tuple(entry) for entry in ours} == {tuple(entry) for entry in official}
        for name, value in ours[0].items():
            assert isinstance(value, type(official[0][name]))
        populated = {entry["label"] for entry in official}
        assert populated == {task.label for task in diving48_plan(sizes(), 0, Path())}
        assert EMPTY not in populated


def test_equal_plans_write_equal_bytes_and_another_seed_others(rendered: Path, tmp_path: Path) -> None:
    task = some(tmp_path)[2]
    write_dive(task)
    again = digests(tmp_path)
    first = digests(rendered)
    assert len(again) == 2
    assert all(first[name] == digest for name, digest in again.items())
    (tmp_path / "other").mkdir()
    write_dive(some(tmp_path / "other", seed=6)[2])
    assert not set(digests(tmp_path / "other").values()) & set(again.values())


def test_a_larger_data_set_begins_with_the_smaller_one() -> None:
    def seeds(datasets: Datasets) -> dict[tuple[str, int, str], tuple[int, ...]]:
        return {
            (task.split, task.label, task.name): task.seeds.spawn_key for task in diving48_plan(datasets, 5, Path())
        }

    small, large = seeds(sizes()), seeds(sizes(train_clips_per_class=4))
    assert small.items() <= large.items()


def test_train_and_test_share_no_source_video_and_no_scene() -> None:
    plan = diving48_plan(sizes(), 0, Path())
    scenes: dict[str, set[object]] = defaultdict(set)
    for task in plan:
        scenes[task.split] |= {task.name[:11], task.venue.spawn_key, task.diver.spawn_key}
    assert not scenes["train"] & scenes["test"]
    assert len({task.name for task in plan}) == len(plan) == 47 * 3


def test_classes_are_spread_evenly_over_the_source_videos() -> None:
    """So a venue says nothing about the class: each has its clips in as many different videos as there can be."""
    plan = diving48_plan(sizes(train_clips_per_class=10, train_videos=24), 0, Path())
    videos: dict[int, Counter[str]] = defaultdict(Counter)
    for task in plan:
        if task.split == "train":
            videos[task.label][task.name[:11]] += 1
    assert len(videos) == 47
    assert all(set(counts.values()) == {1} and len(counts) == 10 for counts in videos.values())
    total = sum(videos.values(), Counter())
    assert len(total) == 24
    assert max(total.values()) < 3 * min(total.values())


def test_the_diver_is_seen_and_goes_under(rendered: Path) -> None:
    for dive in read_diving48(rendered, "V2"):
        sidecar = load_sidecar(rendered / "sidecar" / f"{dive.name}.npz")
        assert sidecar.people == 1
        assert len(sidecar.parts) == dive.frames
        seen = np.array([person_masks(sidecar, frame)[0].sum() for frame in range(dive.frames)])
        assert seen[: -dive.frames // 3].min() > 40, "in every frame of the flight"
        assert seen[-1] < 0.7 * seen[0], "cut off by the water"
        assert (sidecar.outlines.drawn[-1, : len(PARTS)].sum()) < len(PARTS) - 4


def test_covers_hide_the_diver_and_the_pose(rendered: Path) -> None:
    for dive in read_diving48(rendered, "V2"):
        sidecar = load_sidecar(rendered / "sidecar" / f"{dive.name}.npz")
        hidden = covers(sidecar)
        areas = []
        for frame in range(dive.frames):
            diver = person_masks(sidecar, frame)[0]
            assert not (diver & ~hidden[frame]).any()
            if diver.any() and not (hidden[frame][[0, -1]].any() or hidden[frame][:, [0, -1]].any()):
                areas.append(int(hidden[frame].sum()))
        assert 0.1 < hidden.mean() < 0.8
        if areas:
            assert max(areas) - min(areas) < 0.05 * max(areas), "the same disc, whatever the pose"


def test_a_contact_sheet_shows_the_dives(rendered: Path, tmp_path: Path) -> None:
    contact_sheet(rendered.with_suffix(".csv"), tmp_path / "sheet.png")
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None
    assert 700 < sheet.shape[1] < 1200
    assert sheet.std() > 30
