"""The names of joints and classes are those of the official files, in their order."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from dimofs.datasets.records import JHMDB_CLASSES, JHMDB_JOINTS, POSETRACK_JOINTS, DatasetError, Frame, Person


@pytest.mark.parametrize(("joints", "first"), [(POSETRACK_JOINTS, "left"), (JHMDB_JOINTS, "right")])
def test_left_and_right_alternate(joints: tuple[str, ...], first: str) -> None:
    paired = [name for name in joints if name.startswith(("left_", "right_"))]
    other = "right" if first == "left" else "left"
    assert len(paired) == (12 if joints == JHMDB_JOINTS else 14)
    for name, partner in zip(paired[::2], paired[1::2], strict=True):
        assert name.startswith(f"{first}_")
        assert partner == name.replace(first, other, 1)


def test_posetrack_joints_are_those_of_an_official_file(samples: Path) -> None:
    path = samples / "posetrack18" / "annotations" / "val" / "003418_mpii_test.json"
    assert json.loads(path.read_text())["categories"][0]["keypoints"] == list(POSETRACK_JOINTS)


def test_jhmdb_joints_are_those_of_mmpose(samples: Path) -> None:
    labels = json.loads((samples / "jhmdb" / "sub_jhmdb_coco" / "test_jhmdb_sub1.json").read_text())
    names = labels["categories"][0]["keypoints"]
    assert ["face" if name == "head" else name for name in names] == list(JHMDB_JOINTS)


def test_classes_are_those_of_the_official_splits_in_alphabetical_order(samples: Path) -> None:
    names = {path.name.partition("_test_split")[0] for path in (samples / "jhmdb" / "splits").glob("*.txt")}
    assert tuple(sorted(names)) == JHMDB_CLASSES


def test_records_cannot_be_changed() -> None:
    person = Person(0, np.zeros(4, np.float32), None, np.zeros((15, 2), np.float32), np.ones(15, bool))
    for record, field in [(person, "track_id"), (Frame(Path("a.png"), True, (person,), ()), "people")]:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, field, None)


def test_a_dataset_error_is_a_value_error() -> None:
    assert issubclass(DatasetError, ValueError)
