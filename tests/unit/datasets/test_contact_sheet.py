"""The contact sheet of a data set whose labels have gaps; whole ones are drawn in synthetic/test_write.py."""

import json
from pathlib import Path

import cv2
import numpy as np

from dimofs.datasets.contact_sheet import contact_sheet
from dimofs.datasets.records import POSETRACK_JOINTS


def test_a_person_without_joints_and_box_is_not_drawn(tmp_path: Path) -> None:
    sheets = []
    for people in (0, 1):
        root = tmp_path / f"set{people}"
        image = "images/val/000001_mpii_test/000000.jpg"
        (root / image).parent.mkdir(parents=True)
        cv2.imwrite(str(root / image), np.full((48, 64, 3), 128, np.uint8))
        labels = {
            "images": [{"id": 1, "file_name": image, "is_labeled": True}],
            "annotations": [{"image_id": 1, "track_id": 0, "keypoints": [0] * 51}] * people,
            "categories": [{"keypoints": list(POSETRACK_JOINTS)}],
        }
        (root / "annotations/val").mkdir(parents=True)
        (root / "annotations/val/000001_mpii_test.json").write_text(json.dumps(labels))
        (tmp_path / f"set{people}.csv").touch()
        contact_sheet(tmp_path / f"set{people}.csv", tmp_path / f"{people}.png")
        sheets.append(cv2.imread(str(tmp_path / f"{people}.png")))
    np.testing.assert_array_equal(*sheets)
