import json

import cv2
import numpy as np
import pandas as pd
import pytest

from dimofs.datasets.posetrack import read_posetrack18, read_posetrack18_file
from dimofs.datasets.records import POSETRACK_JOINTS, DatasetError
from dimofs.tracking.submission import write_submission

FIRST = 10_000_010_000
NAMES = ("000001_mpii_test", "000002_mpii_test")


@pytest.fixture
def root(tmp_path):
    """Two sequences of three frames in the official layout, the middle one labelled."""
    for number, name in enumerate(NAMES):
        images = []
        for frame in range(3):
            path = tmp_path / "images" / "val" / name / f"{frame:06d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))
            image_id = FIRST + 10_000 * number + frame
            images.append(
                {
                    "id": image_id, "frame_id": image_id, "vid_id": name[:6], "nframes": 3, "is_labeled": frame == 1,
                    "file_name": f"images/val/{name}/{frame:06d}.jpg", "ignore_regions_x": [], "ignore_regions_y": [],
                }
            )  # fmt: skip
        categories = [{"id": 1, "name": "person", "keypoints": list(POSETRACK_JOINTS)}]
        labels = tmp_path / "annotations" / "val" / f"{name}.json"
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text(json.dumps({"images": images, "annotations": [], "categories": categories}))
    return tmp_path


def tracks(*rows):
    """Rows (video, frame, track, logits); the joints are numbered."""
    pose = np.arange(34, dtype=np.float32) + 0.25
    return pd.DataFrame(
        [
            {
                "video": video, "frame": frame, "track": track, "score": np.float32(0.5), "joints": pose + 100 * track,
                "box": np.array([1, 2, 11, 22], np.float32), "joint_scores": np.asarray(logits, np.float32),
            }
            for video, frame, track, logits in rows
        ],
        columns=["video", "frame", "track", "score", "joints", "box", "joint_scores"],
    )  # fmt: skip


def written(root, found, joint_score=None, neck="head_bottom", ranked_by="person"):
    write_submission(found, root / "annotations" / "val", root / "out", joint_score, neck, ranked_by)
    return [json.loads((root / "out" / f"{name}.json").read_text()) for name in NAMES]


def test_every_sequence_and_every_frame_is_listed_with_the_ids_of_the_label_files(root):
    records = written(root, tracks((NAMES[0], 1, 4, np.full(17, 3.0))))
    for number, record in enumerate(records):
        assert [image["id"] for image in record["images"]] == [FIRST + 10_000 * number + frame for frame in range(3)]
        assert [image["file_name"][-10:] for image in record["images"]] == ["000000.jpg", "000001.jpg", "000002.jpg"]
        assert record["categories"][0]["keypoints"] == list(POSETRACK_JOINTS)
        assert "ignore_regions_x" not in record["images"][0]
    assert [len(record["annotations"]) for record in records] == [1, 0]


def test_a_person(root):
    logits = np.full(17, 3.0)
    logits[15] = 1.0
    person = written(root, tracks((NAMES[0], 1, 4, logits)), joint_score=1.95)[0]["annotations"][0]
    pose = np.arange(34).reshape(17, 2) + 400.25
    expected = np.column_stack([pose, np.ones(17)])
    expected[15] = 0
    assert person["keypoints"] == expected.ravel().tolist()
    assert person["scores"] == [0.5] * 15 + [0.0] + [0.5]
    assert (person["image_id"], person["track_id"], person["category_id"]) == (FIRST + 1, 4, 1)
    assert person["bbox"] == [1, 2, 10, 20]


def test_people_of_a_frame_have_ids_of_their_own_and_empty_ones_are_left_out(root):
    full = np.full(17, 3.0)
    people = tracks((NAMES[0], 1, 4, full), (NAMES[0], 1, 5, 0 * full), (NAMES[0], 1, 6, full), (NAMES[0], 2, 4, full))
    found = written(root, people, joint_score=1.95)[0]["annotations"]
    assert [person["track_id"] for person in found] == [4, 6, 4]
    assert [person["id"] for person in found] == [100 * (FIRST + 1), 100 * (FIRST + 1) + 1, 100 * (FIRST + 2)]


def test_the_neck_is_exported_as_it_is_judged(root):
    person = written(root, tracks((NAMES[0], 1, 0, np.full(17, 3.0))), neck="shoulders")[0]["annotations"][0]
    assert person["keypoints"][3:6] == [11.25, 12.25, 1.0]


def test_the_reader_reads_what_was_written(root):
    full = np.full(17, 3.0)
    written(root, tracks((NAMES[0], 0, 4, full), (NAMES[0], 1, 4, full), (NAMES[0], 1, 9, full)))
    video = read_posetrack18_file(root / "out" / f"{NAMES[0]}.json", root, "val")
    assert [[person.track_id for person in frame.people] for frame in video.frames] == [[4], [4, 9], []]
    person = video.frames[1].people[1]
    np.testing.assert_array_equal(person.joints.ravel(), np.arange(34) + 900.25)
    assert person.labelled.all()
    np.testing.assert_array_equal(person.box, [1, 2, 11, 22])


def test_nothing_tracked_anywhere(root):
    assert [record["annotations"] for record in written(root, tracks())] == [[], []]


def test_of_official_label_files(samples, tmp_path):
    annotations = samples / "posetrack18" / "annotations" / "val"
    video = read_posetrack18(samples / "posetrack18")[0]
    write_submission(tracks((video.name, 0, 3, np.full(17, 3.0))), annotations, tmp_path, None, "shoulders", "joint")
    for path in annotations.glob("*.json"):
        official, ours = (json.loads(file.read_text()) for file in (path, tmp_path / path.name))
        for field in ("id", "frame_id", "vid_id", "file_name"):
            assert [image[field] for image in ours["images"]] == [image[field] for image in official["images"]]
    again = read_posetrack18_file(tmp_path / f"{video.name}.json", samples / "posetrack18", "val")
    assert [person.track_id for person in again.frames[0].people] == [3]


class TestErrors:
    def test_another_sequence(self, root):
        with pytest.raises(DatasetError, match="holds no label file of elsewhere"):
            written(root, tracks(("elsewhere", 0, 0, np.ones(17))))

    def test_another_frame(self, root):
        with pytest.raises(DatasetError, match=f"{NAMES[0]}, frame 3 is not in"):
            written(root, tracks((NAMES[0], 3, 0, np.ones(17))))

    def test_an_id_that_the_official_program_refuses(self, root):
        with pytest.raises(DatasetError, match="raise the operating point's score"):
            written(root, tracks((NAMES[0], 0, 10_000, np.ones(17))))


def test_joints_are_scored_by_themselves_or_by_their_person(root):
    logits = np.full(17, 3.0)
    logits[5:7], logits[1] = (0, 2), -9.0
    people = tracks((NAMES[0], 1, 4, logits))
    own = written(root, people, neck="shoulders", ranked_by="joint")[0]["annotations"][0]["scores"]
    assert own[0] == pytest.approx(0.5 / (1 + np.exp(-3)))
    assert own[5] == pytest.approx(0.25)
    assert own[1] == pytest.approx(0.5 / (1 + np.exp(-1)))  # the neck has the mean of the shoulders' logits
    assert written(root, people, neck="shoulders")[0]["annotations"][0]["scores"] == [0.5] * 17


def test_the_largest_id_is_written_and_hidden_files_are_no_label_files(root):
    (root / "annotations" / "val" / f"._{NAMES[0]}.json").write_bytes(b"\0")
    person = written(root, tracks((NAMES[0], 1, 9999, np.full(17, 3.0))))[0]["annotations"][0]
    assert person["track_id"] == 9999
