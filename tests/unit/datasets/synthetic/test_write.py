"""Rendered data sets on disk: official layouts, read by the official readers, whatever the number of workers."""

import hashlib
import json
import os
import shutil
from collections import Counter
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import scipy.io
from test_motion_clips import needs_clips

from dimofs.config import CorpusSize, Datasets, Diving48Size, JhmdbSize, MotionCaptureSize, PoseTrackSize, StillsSize
from dimofs.datasets.contact_sheet import contact_sheet
from dimofs.datasets.jhmdb import read_jhmdb
from dimofs.datasets.manifest import write_manifest
from dimofs.datasets.posetrack import read_posetrack18
from dimofs.datasets.records import JHMDB_CLASSES, POSETRACK_JOINTS, DatasetError
from dimofs.datasets.synthetic import write
from dimofs.datasets.synthetic.body import PARTS
from dimofs.datasets.synthetic.jhmdb_files import _COMPASS, jhmdb_plan, write_action_clip, write_splits
from dimofs.datasets.synthetic.motion_capture_files import motion_capture_plan, write_captured
from dimofs.datasets.synthetic.posetrack_files import posetrack_plan, stills_plan, write_sequence
from dimofs.datasets.synthetic.sidecar import load_sidecar, person_masks

SIZES = Datasets(
    footage=None,
    source="rendered",
    accept_terms=(),
    accept_partial=False,
    frame_size=96,
    posetrack18=PoseTrackSize(train_videos=3, val_videos=2, frames=9, labelled_frames=5, val_label_step=4),
    stills=StillsSize(images=4),
    jhmdb=JhmdbSize(clips_per_class=3, min_frames=2, max_frames=4),
    motion_capture=MotionCaptureSize(videos=2),
    diving48=Diving48Size(
        train_clips_per_class=2, test_clips_per_class=1, train_videos=3, test_videos=2, frame_rate=12
    ),
    corpus=CorpusSize(clips_per_class=1, frames=2),
)


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def posetrack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("datasets") / "posetrack18"
    write.render("posetrack18", SIZES, 5, root, workers=2)
    return root


@pytest.fixture(scope="module")
def jhmdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All clips of the plan, written in this process: starting workers is the slow part of small data sets."""
    root = tmp_path_factory.mktemp("jhmdb")
    for task in jhmdb_plan(SIZES, 5, root):
        write_action_clip(task)
    write_splits(root, 5)
    return root


def test_the_files_do_not_depend_on_the_workers(posetrack: Path, tmp_path: Path) -> None:
    for task in posetrack_plan(SIZES, 5, tmp_path):
        write_sequence(task)
    alone, together = digests(tmp_path), digests(posetrack)
    assert together.pop(write.MARKER)
    assert alone == together


@needs_clips
def test_the_motion_capture_part_is_posetrack18_validation_with_recorded_motions(tmp_path: Path) -> None:
    sizes = SIZES.model_copy(update={"motion_capture": MotionCaptureSize(videos=9)})
    tasks = motion_capture_plan(sizes, 5, tmp_path)
    write_captured(tasks[0])
    once = digests(tmp_path)
    shutil.rmtree(tmp_path)
    write_captured(tasks[0])
    assert digests(tmp_path) == once

    (video,) = read_posetrack18(tmp_path)
    assert (video.split, video.name) == ("val", tasks[0].sequence.name)
    assert [frame.labelled for frame in video.frames] == [at in (0, 2, 3, 4, 5, 6, 8) for at in range(9)]
    sidecar = load_sidecar(tmp_path / f"sidecar/val/{video.name}.npz")
    assert sidecar.people >= len(tasks[0].actions) >= 2

    smaller = motion_capture_plan(SIZES, 5, tmp_path)
    assert [task.actions for task in smaller] == [task.actions for task in tasks[:2]]
    dealt = Counter(clip for task in tasks for clip in task.actions)
    assert len({task.sequence.name for task in tasks}) == 9
    assert {*dealt} <= {*tasks[0].clips}
    assert max(dealt.values()) - min(dealt.get(clip, 0) for clip in tasks[0].clips) <= 1
    assert {task.sequence.split for task in tasks} == {"val"}


def test_without_the_clips_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DatasetError, match="pybullet"):
        write.render("motion_capture", SIZES, 5, tmp_path / "motion_capture", workers=1)
    assert list(tmp_path.iterdir()) == []


def test_another_seed_gives_other_pictures(tmp_path: Path) -> None:
    for seed in (5, 6):
        (tmp_path / str(seed)).mkdir()
        write_sequence(posetrack_plan(SIZES, seed, tmp_path / str(seed))[0])
    first, second = digests(tmp_path / "5"), digests(tmp_path / "6")
    assert not set(first.values()) & set(second.values())


def test_a_larger_data_set_begins_with_the_smaller_one(tmp_path: Path) -> None:
    larger = SIZES.model_copy(update={"posetrack18": SIZES.posetrack18.model_copy(update={"train_videos": 6})})
    small, large = posetrack_plan(SIZES, 5, tmp_path), posetrack_plan(larger, 5, tmp_path)
    by_name = {task.name: task.seeds.spawn_key for task in large}
    assert all(by_name[task.name] == task.seeds.spawn_key for task in small)


def test_posetrack_is_read_by_the_official_reader(posetrack: Path) -> None:
    videos = read_posetrack18(posetrack)
    assert [video.split for video in videos] == ["train"] * 3 + ["val"] * 2
    for video in videos:
        assert video.name.endswith("_mpii_train" if video.split == "train" else "_mpii_test")
        assert len(video.frames) == 9
        expected = {2, 3, 4, 5, 6} | ({0, 4, 8} if video.split == "val" else set())
        assert {position for position, frame in enumerate(video.frames) if frame.labelled} == expected
        for frame in video.frames:
            picture = cv2.imread(str(frame.path))
            assert picture is not None
            assert picture.shape == (96, 96, 3)
            for person in frame.people:
                assert person.head_box is not None
                assert (person.head_box[2:] > person.head_box[:2]).all()
                joints = person.joints[person.labelled]
                assert ((joints > -0.5) & (joints < 95.5)).all()
    assert sum(len(frame.people) for video in videos for frame in video.frames) > 20


def test_posetrack_files_hold_every_official_field(posetrack: Path) -> None:
    path = sorted((posetrack / "annotations" / "val").iterdir())[0]
    record = json.loads(path.read_text())
    assert set(record) == {"images", "annotations", "categories"}
    assert record["categories"][0]["keypoints"] == list(POSETRACK_JOINTS)
    assert len(record["categories"][0]["skeleton"]) == 19
    number = int(path.name[:6])
    for position, image in enumerate(record["images"]):
        assert image["id"] == image["frame_id"] == 10_000_000_000 + number * 10_000 + position
        assert image["vid_id"] == f"{number:06d}"
        assert image["file_name"] == f"images/val/{path.stem}/{position:06d}.jpg"
        assert image["nframes"] == 9
        assert image["has_no_densepose"] is True
        assert ("ignore_regions_x" in image) == image["is_labeled"]
    fields = {"bbox_head", "keypoints", "track_id", "image_id", "bbox", "scores", "category_id", "id"}
    for annotation in record["annotations"]:
        assert set(annotation) == fields
        assert annotation["scores"] == []
        assert annotation["category_id"] == 1
    ids = [annotation["id"] for annotation in record["annotations"]]
    assert len(set(ids)) == len(ids) > 0


def test_the_official_samples_have_the_same_fields(posetrack: Path) -> None:
    if not os.environ.get("DIMOFS_SAMPLES"):
        pytest.skip("DIMOFS_SAMPLES is not set: no official sample to compare with")
    samples = Path(os.environ["DIMOFS_SAMPLES"]) / "posetrack18" / "annotations" / "val"
    official = json.loads(sorted(samples.glob("*.json"))[0].read_text())
    ours = json.loads(sorted((posetrack / "annotations" / "val").iterdir())[0].read_text())
    added_by_mmpose = {"width", "height", "mask_file", "iscrowd", "num_keypoints"}
    assert set(official["annotations"][0]) - added_by_mmpose == set(ours["annotations"][0])
    labelled = next(image for image in ours["images"] if image["is_labeled"])
    assert set(official["images"][0]) - added_by_mmpose == set(labelled)
    for name, value in ours["annotations"][0].items():
        assert isinstance(value, type(official["annotations"][0][name])), name


def test_labelled_joints_lie_on_the_person_of_the_sidecar(posetrack: Path) -> None:
    checked = hit = 0
    for video in read_posetrack18(posetrack):
        sidecar = load_sidecar(posetrack / "sidecar" / video.split / f"{video.name}.npz")
        for position, frame in enumerate(video.frames):
            masks = person_masks(sidecar, position)
            for person in frame.people:
                near = cv2.dilate(masks[person.track_id].astype(np.uint8), np.ones((3, 3)))
                x, y = person.joints[person.labelled].round().astype(int).clip(0, 95).T
                hit += int(near[y, x].sum())
                checked += len(x)
    assert checked > 200
    assert hit / checked > 0.995


def test_train_and_validation_share_no_scene(posetrack: Path) -> None:
    names = [path.name for path in posetrack.glob("images/*/*")]
    assert len(names) == len(set(names)) == 5
    assert len(set(digests(posetrack / "images").values())) == 5 * 9


def test_stills_are_independent_sequences_of_one_labelled_frame(tmp_path: Path) -> None:
    for task in stills_plan(SIZES, 5, tmp_path):
        write_sequence(task)
    videos = read_posetrack18(tmp_path)
    assert len(videos) == 4
    assert all(video.split == "train" and len(video.frames) == 1 and video.frames[0].labelled for video in videos)


def test_jhmdb_is_read_by_the_official_reader(jhmdb: Path) -> None:
    videos = read_jhmdb(jhmdb, 1)
    assert len(videos) == 3 * len(JHMDB_CLASSES)
    for video in videos:
        assert 2 <= len(video.frames) <= 4
        assert video.label == JHMDB_CLASSES.index(video.name.split("/")[0])
        for frame in video.frames:
            box = frame.people[0].box
            assert (box[:2] >= 0).all()
            assert (box[2:] <= 96).all()
            # Most of the joints that are inside the frame are inside the box.
            joints = frame.people[0].joints
            inside = joints[((joints > 0) & (joints < 95)).all(-1)]
            assert ((inside > box[:2] - 2) & (inside < box[2:] + 2)).all(-1).mean() > 0.9


def test_every_clip_tests_in_one_split_and_a_third_of_each_class_in_each(jhmdb: Path) -> None:
    assert len(list((jhmdb / "splits").iterdir())) == 63
    for label in JHMDB_CLASSES:
        flags = []
        for split in (1, 2, 3):
            lines = (jhmdb / "splits" / f"{label}_test_split{split}.txt").read_text().splitlines()
            flags.append({line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in lines})
        clips = {f"{path.name}.avi" for path in (jhmdb / "Rename_Images" / label).iterdir()}
        assert set(flags[0]) == set(flags[1]) == set(flags[2]) == clips
        for clip in clips:
            assert sorted(split[clip] for split in flags) == ["1", "1", "2"]
        assert all(list(split.values()).count("2") == 1 for split in flags)


def test_jhmdb_joints_follow_the_official_formulas(jhmdb: Path) -> None:
    for path in sorted((jhmdb / "joint_positions").glob("*/*/joint_positions.mat"))[::9]:
        record = scipy.io.loadmat(path)
        image, world, scale = record["pos_img"], record["pos_world"], record["scale"]
        frames = image.shape[2]
        assert image.shape == world.shape == (2, 15, frames)
        assert scale.shape == (1, frames)
        assert str(record["viewpoint"][0]) in _COMPASS
        np.testing.assert_allclose(world[0], (image[0] / 96 - 0.5) * 96 / 96 / scale, atol=1e-9)
        np.testing.assert_allclose(world[1], (image[1] / 96 - 0.5) / scale, atol=1e-9)


def test_jhmdb_masks_are_binary_and_cover_the_visible_actor(jhmdb: Path) -> None:
    for path in sorted((jhmdb / "puppet_mask").glob("*/*/puppet_mask.mat"))[::9]:
        mask = scipy.io.loadmat(path)["part_mask"]
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) == {0, 1}
        assert mask.shape[:2] == (96, 96)
        sidecar = load_sidecar(jhmdb / "sidecar" / path.parts[-3] / f"{path.parts[-2]}.npz")
        for frame in range(mask.shape[2]):
            near = cv2.dilate(mask[..., frame], np.ones((3, 3)))
            assert (near[person_masks(sidecar, frame)[0]] == 1).all()
            assert mask[..., frame].sum() < 0.6 * 96 * 96


def test_jhmdb_frames_are_those_of_the_video(jhmdb: Path) -> None:
    video = sorted((jhmdb / "ReCompress_Videos" / "golf").iterdir())[0]
    images = sorted((jhmdb / "Rename_Images" / "golf" / video.name.removesuffix(".avi")).iterdir())
    assert images[0].name == "00001.png"
    with av.open(str(video)) as container:
        assert container.streams.video[0].average_rate == 30
        decoded = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    assert len(decoded) == len(images)
    for path, picture in zip(images, decoded, strict=True):
        np.testing.assert_array_equal(cv2.imread(str(path)), picture)


def test_equal_plans_write_equal_bytes(jhmdb: Path, tmp_path: Path) -> None:
    """Also where formats hold dates by default: MATLAB files, archives, videos."""
    task = jhmdb_plan(SIZES, 5, tmp_path)[7]
    write_action_clip(task)
    again = digests(tmp_path)
    assert len(again) >= 5
    first = digests(jhmdb)
    assert all(first[name] == digest for name, digest in again.items())


def test_some_clip_names_hold_the_odd_characters_of_the_originals() -> None:
    many = SIZES.model_copy(update={"jhmdb": JhmdbSize(clips_per_class=20, min_frames=2, max_frames=4)})
    titles = "".join(task.title for task in jhmdb_plan(many, 0, Path()))
    assert set("!()+-@") <= set(titles)
    assert " " not in titles


def test_a_foreign_folder_is_never_replaced(tmp_path: Path) -> None:
    root = tmp_path / "stills"
    root.mkdir()
    (root / "thesis.tex").write_text("years of work")
    with pytest.raises(DatasetError, match="move it away"):
        write.render("stills", SIZES, 0, root, workers=1)
    assert (root / "thesis.tex").read_text() == "years of work"
    with pytest.raises(DatasetError, match="no such embedded data set"):
        write.render("kinetics", SIZES, 0, tmp_path / "kinetics", workers=1)


def test_an_earlier_rendering_is_replaced_and_a_failed_one_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "stills"
    root.mkdir()
    (root / write.MARKER).write_text("rendered")
    (root / "old.txt").write_text("old")
    monkeypatch.setitem(write._PLANS, "stills", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        write.render("stills", SIZES, 0, root, workers=1)
    assert (root / "old.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["stills"]
    monkeypatch.setitem(write._PLANS, "stills", lambda sizes, seed, folder: stills_plan(sizes, seed, folder)[:1])
    write.render("stills", SIZES, 0, root, workers=1)
    assert not (root / "old.txt").exists()
    assert len(read_posetrack18(root)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["stills"]


def test_contact_sheets_show_all_three(posetrack: Path, jhmdb: Path, tmp_path: Path) -> None:
    stills = tmp_path / "stills"
    for task in stills_plan(SIZES, 5, stills):
        write_sequence(task)
    for root in (posetrack, jhmdb, stills):
        manifest = root.with_suffix(".csv")
        write_manifest(root, manifest)
        contact_sheet(manifest, tmp_path / f"{root.name}.png")
        sheet = cv2.imread(str(tmp_path / f"{root.name}.png"))
        assert sheet is not None
        assert 700 < sheet.shape[1] < 1200
        # The colours of boxes and of left and right limbs are there.
        for colour in ((60, 150, 255), (255, 190, 60)):
            assert (np.abs(sheet.astype(int) - colour).max(-1) < 12).any()


def test_parts_of_the_sidecar_are_people_and_things(jhmdb: Path) -> None:
    path = sorted((jhmdb / "sidecar" / "run").iterdir())[0]
    sidecar = load_sidecar(path)
    assert sidecar.people >= 1
    assert sidecar.parts.max() <= sidecar.outlines.start.shape[1]
    assert sidecar.outlines.start.shape[1] >= len(PARTS) * sidecar.people
