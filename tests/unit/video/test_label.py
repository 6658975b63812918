"""`dimofs label`: a video and a teacher in, PoseTrack18's layout out, pseudo-labels said to be such."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import cv2
import numpy as np
import pytest
import torch
import torchvision
from typer.testing import CliRunner

from dimofs.cli import app
from dimofs.datasets.coco import COCO_JOINTS
from dimofs.datasets.posetrack import read_posetrack18
from dimofs.datasets.records import DatasetError, Person
from dimofs.video import teacher as keypoint_rcnn
from dimofs.video.label import label, with_tracks, write_labelled


def coco(path: Path, frames: int, **extra: Any) -> Path:
    """Somebody who walks to the right by two pixels a frame; in the first frame there is nobody."""
    category = {"id": 1, "name": "person", "keypoints": list(COCO_JOINTS)}
    annotations = []
    for frame in range(1, frames):
        keypoints = [value for joint in range(17) for value in (10 + 2 * frame + 8 * (joint % 3), 10 + joint, 2)]
        annotations.append({"id": frame, "image_id": frame, "category_id": 1, "keypoints": keypoints, **extra})
    images = [{"id": frame, "file_name": f"{frame}.jpg"} for frame in range(frames)]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [category]}))
    return path


def test_poses_of_a_file_become_a_data_set(clip: Path, frames: list[np.ndarray], tmp_path: Path) -> None:
    done = label(clip, tmp_path / "walk", coco(tmp_path / "poses.json", len(frames)), 0.5)
    assert (done.frames, done.people, done.tracks) == (len(frames), len(frames) - 1, 1)
    (video,) = read_posetrack18(tmp_path / "walk")
    assert (video.name, video.split, len(video.frames)) == ("walk", "train", len(frames))
    assert video.frames[0].people == ()
    assert all(frame.labelled for frame in video.frames)
    (person,) = video.frames[4].people
    assert person.joints[5].tolist() == [10 + 8 + 8 * 2, 15]
    picture = cv2.imread(str(video.frames[4].path))[:, :, ::-1]
    assert np.abs(picture.astype(int) - frames[4]).mean() < 8  # the same colours in the same order
    file = json.loads((tmp_path / "walk/annotations/train/walk.json").read_text(encoding="utf-8"))
    for text in (file["info"]["description"], (tmp_path / "walk/PSEUDO-LABELS.txt").read_text(encoding="utf-8")):
        assert "Pseudo-labels: poses that a teacher found (poses.json)" in text
    assert (tmp_path / "walk.csv").is_file()


def test_known_tracks_are_kept(clip: Path, frames: list[np.ndarray], tmp_path: Path) -> None:
    label(clip, tmp_path / "walk", coco(tmp_path / "poses.json", len(frames), track_id=12), 0.5)
    (video,) = read_posetrack18(tmp_path / "walk")
    assert {person.track_id for frame in video.frames for person in frame.people} == {12}


def test_people_are_linked_over_short_gaps() -> None:
    def people(*lefts: float) -> tuple[Person, ...]:
        boxes = [np.array([left, 0, left + 20, 60], np.float32) for left in lefts]
        return tuple(Person(-1, box, None, np.zeros((17, 2), np.float32), np.ones(17, bool)) for box in boxes)

    frames = with_tracks([people(0, 100), people(102, 3), (), people(6, 300), *[()] * 9, people(8)])
    assert [[person.track_id for person in found or ()] for found in frames] == [
        [0, 1],
        [1, 0],
        [],
        [0, 2],
        *[[]] * 9,
        [3],
    ]


def test_another_number_of_frames_is_refused(clip: Path, frames: list[np.ndarray], tmp_path: Path) -> None:
    poses = coco(tmp_path / "poses.json", len(frames) - 1)
    with pytest.raises(DatasetError, match=rf"lists {len(frames) - 1} images, but .* has {len(frames)} frames"):
        label(clip, tmp_path / "walk", poses, 0.5)
    assert not (tmp_path / "walk").exists()


def test_labelling_again_replaces_and_other_files_stay(clip: Path, frames: list[np.ndarray], tmp_path: Path) -> None:
    poses = coco(tmp_path / "poses.json", len(frames))
    label(clip, tmp_path / "walk", poses, 0.5)
    before = (tmp_path / "walk.csv").read_bytes()
    label(clip, tmp_path / "walk", poses, 0.5)
    assert (tmp_path / "walk.csv").read_bytes() == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/diary.txt").touch()
    with pytest.raises(DatasetError, match="mine: holds files"):
        label(clip, tmp_path / "mine", poses, 0.5)


def test_a_table_of_somebodys_is_not_replaced(clip: Path, frames: list[np.ndarray], tmp_path: Path) -> None:
    (tmp_path / "walk.csv").write_text("mine\n")
    with pytest.raises(DatasetError, match=r"walk\.csv: is no manifest"):
        label(clip, tmp_path / "walk", coco(tmp_path / "poses.json", len(frames)), 0.5)
    assert (tmp_path / "walk.csv").read_text() == "mine\n"
    assert not (tmp_path / "walk").exists()


def test_links_keep_their_names(clip: Path, frames: list[np.ndarray], tmp_path: Path) -> None:
    """A link to a video gives its own name; one in the place of the folder is refused, for it cannot be replaced."""
    (tmp_path / "sunday.mp4").symlink_to(clip)
    poses = coco(tmp_path / "poses.json", len(frames))
    label(tmp_path / "sunday.mp4", tmp_path / "walk", poses, 0.5)
    assert read_posetrack18(tmp_path / "walk")[0].name == "sunday"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(DatasetError, match="link: is a link"):
        label(clip, tmp_path / "link", poses, 0.5)


def test_the_current_folder_has_a_name(
    frames: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".street").mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / f".street/{number:03d}.png"), frame)
    monkeypatch.chdir(tmp_path / ".street")
    label(".", tmp_path / "walk", coco(tmp_path / "poses.json", len(frames)), 0.5)
    (video,) = read_posetrack18(tmp_path / "walk")
    assert (video.name, len(video.frames)) == ("street", len(frames))


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """torchvision's own network with weights at random: it takes the whole picture for a person."""
    torch.manual_seed(0)
    return torchvision.models.detection.keypointrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, min_size=64, max_size=96, box_score_thresh=0.0, box_detections_per_img=2
    )


def test_the_network_labels_a_video(
    encode: Callable[..., Path],
    frames: list[np.ndarray],
    network: torch.nn.Module,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every logit counts: random ones are low."""
    clip = encode(tmp_path / "walk.mp4", frames[:2])
    monkeypatch.setattr(keypoint_rcnn, "LEAST_LOGIT", -1e6)
    people_in = keypoint_rcnn.teacher(network, 0.0)
    write_labelled(clip, tmp_path / "walk", lambda picture: people_in(picture.image), keypoint_rcnn.NAME)
    (video,) = read_posetrack18(tmp_path / "walk")
    people = [person for frame in video.frames for person in frame.people]
    assert 0 < len(people) <= 2 * 2
    height, width = frames[0].shape[:2]
    for person in people:
        assert person.labelled.sum() == 15
        assert (person.box >= 0).all()
        assert (person.box <= [width, height, width, height]).all()
        assert person.head_box is not None
        np.testing.assert_allclose(person.joints[1], person.joints[5:7].mean(axis=0), atol=0.02)


def test_unsure_people_and_joints_are_left_out(frames: list[np.ndarray]) -> None:
    class Sure(torch.nn.Module):
        def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
            assert images[0].shape == (3, 64, 96)
            assert 0 <= float(images[0].min()) < float(images[0].max()) <= 1
            keypoints = torch.arange(2 * 17 * 3, dtype=torch.float32).reshape(2, 17, 3)
            logits = torch.full((2, 17), 3.0)
            logits[:, 9] = 1.0
            box = torch.tensor([[0.0, 0.0, 50.0, 60.0]] * 2)
            found = {"boxes": box, "scores": torch.tensor([0.9, 0.4]), "keypoints": keypoints}
            return [found | {"keypoints_scores": logits}]

    (person,) = keypoint_rcnn.teacher(Sure(), 0.5)(frames[0])
    assert person.joints[5].tolist() == [15, 16]
    assert not person.labelled[9]
    assert person.labelled.sum() == 14


@pytest.mark.parametrize("error", [URLError("Name or service not known"), RuntimeError("invalid hash value")])
def test_weights_that_cannot_be_had_are_one_clear_line(
    error: Exception, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(DatasetError, match=r"keypointrcnn_.*\.pth: .*cannot be downloaded.*--poses") as caught:
        label(clip, tmp_path / "walk", None, 0.5)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "walk").exists()


def test_weights_that_are_there_are_loaded(
    network: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def given(url: str, **_: object) -> dict[str, torch.Tensor]:
        asked.append(url)
        return network.state_dict()

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", given)
    loaded = keypoint_rcnn.load_teacher()
    assert [url.rsplit("/", 1)[1].split("-")[0] for url in asked] == ["keypointrcnn_resnet50_fpn_coco"]
    weights = network.state_dict()
    for name, weight in loaded.state_dict().items():
        assert torch.equal(weights[name], weight)


def test_a_file_of_poses_needs_no_torch(clip: Path, frames: list[np.ndarray], tmp_path: Path) -> None:
    poses = coco(tmp_path / "poses.json", len(frames))
    program = (
        "import sys; from pathlib import Path; from dimofs.video.label import label\n"
        f"label({str(clip)!r}, Path({str(tmp_path / 'walk')!r}), Path({str(poses)!r}), 0.5)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_the_verb_says_that_labels_are_pseudo_labels(clip: Path, frames: list[np.ndarray], tmp_path: Path) -> None:
    poses = coco(tmp_path / "poses.json", len(frames))
    command = ["label", str(clip), "--poses", str(poses), "--out", str(tmp_path / "walk")]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert f"{len(frames)} frames, {len(frames) - 1} poses in 1 tracks, all of them pseudo-labels" in result.stdout
