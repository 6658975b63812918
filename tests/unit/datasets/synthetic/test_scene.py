"""Scenes: reproducible, in the camera's view, of the size that was asked for, and blind to the class."""

from dataclasses import fields

import numpy as np
import pytest

from dimofs.datasets.records import JHMDB_CLASSES
from dimofs.datasets.synthetic.body import PARTS
from dimofs.datasets.synthetic.scene import Framing, Scene, random_scene


def scene(seed: int, **changes: object) -> Scene:
    settings = {"frames": 8, "size": 96, "actions": ("walk", "squat")} | changes
    return random_scene(np.random.default_rng(seed), Framing(**settings))  # type: ignore[arg-type]


def test_equal_generators_give_equal_scenes() -> None:
    first, second = scene(3), scene(3)
    for field in fields(first.solids):
        np.testing.assert_array_equal(getattr(first.solids, field.name), getattr(second.solids, field.name))
    np.testing.assert_array_equal(first.textures, second.textures)
    np.testing.assert_array_equal(first.backdrop, second.backdrop)
    np.testing.assert_array_equal(first.camera.rotation, second.camera.rotation)
    assert not np.array_equal(first.backdrop, scene(4).backdrop)


def test_camera_projects_right_up_and_depth() -> None:
    camera = scene(0).camera
    axes = camera.rotation.transpose(0, 2, 1)  # columns: right, down and forward in the world
    point = (camera.position + 4 * axes[..., 2] + 0.5 * axes[..., 0] - 0.25 * axes[..., 1])[:, None]
    viewed = camera.view(point.astype(np.float32))
    np.testing.assert_allclose(viewed[:, 0], np.tile([0.5, -0.25, 4], (8, 1)), atol=1e-4)
    centre = (camera.size - 1) / 2
    expected = np.stack([centre + camera.focal / 8, centre - camera.focal / 16], -1)
    np.testing.assert_allclose(camera.pixels(viewed)[:, 0], expected, rtol=1e-4)
    np.testing.assert_allclose(camera.rotation @ axes, np.tile(np.eye(3), (8, 1, 1)), atol=1e-5)
    assert np.linalg.det(camera.rotation) == pytest.approx(np.ones(8), abs=1e-5)


def test_camera_looks_along_minus_z_with_the_sky_above() -> None:
    for seed in range(5):
        rotation = scene(seed).camera.rotation
        assert (rotation[:, 2, 2] < -0.5).all()  # forward
        assert (rotation[:, 1, 1] < -0.5).all()  # the image's y points down


def test_the_first_person_is_in_view_and_of_the_asked_height() -> None:
    found = []
    for seed in range(12):
        drawn = scene(seed, actions=("wave",), smallest=0.5, tallest=0.7, margin=0.1)
        pixels = drawn.camera.pixels(drawn.camera.view(drawn.members[0].joints))
        assert ((pixels[:, 0, 0] > 0.1 * 96) & (pixels[:, 0, 0] < 0.9 * 96)).all()
        # Heights are those of a person of 1.7 m.
        found.append(np.ptp(pixels[4, :, 1]) / 96 * 1.7 / drawn.members[0].build.height)
    assert 0.5 < np.median(found) < 0.8


def test_people_stand_on_the_ground_and_apart() -> None:
    drawn = scene(5, actions=("talk", "talk", "idle"))
    for member in drawn.members:
        assert -0.05 < member.joints[..., 1].min() < 0.2
    hips = np.stack([member.joints[0, 0, [0, 2]] for member in drawn.members])
    gaps = np.linalg.norm(hips[:, None] - hips, axis=-1)[np.triu_indices(3, 1)]
    assert gaps.min() > 0.3


def test_bystanders_hardly_move_and_distant_people_are_small() -> None:
    for seed in range(4):
        drawn = scene(seed, frames=20, actions=("run",), bystanders=2, distant=2)
        assert len(drawn.members) == 5
        path = [np.linalg.norm(np.diff(member.joints, axis=0), axis=-1).sum(0).mean() for member in drawn.members]
        assert max(path[1:3]) < 0.5 * path[0]
        pixels = [drawn.camera.pixels(drawn.camera.view(member.joints))[10] for member in drawn.members]
        assert max(np.ptp(points[:, 1]) for points in pixels[3:]) < 0.25 * 96


def test_a_still_shows_one_moment_of_a_longer_motion() -> None:
    drawn = scene(1, frames=1, moments=12)
    assert drawn.members[0].joints.shape == (1, 21, 3)
    assert drawn.solids.start.shape[0] == 1
    moments = {scene(seed, frames=1, moments=12, actions=("jump",)).members[0].joints[0, 0, 1] for seed in range(4)}
    assert len(moments) == 4


def test_solids_fit_the_map_of_parts_and_have_textures() -> None:
    for seed in range(10):
        drawn = scene(seed, actions=("walk",) * 4, distant=3)
        solids = drawn.solids.start.shape[1]
        assert 7 * len(PARTS) <= solids <= 255
        assert len(drawn.textures) == solids
        assert np.isfinite(drawn.solids.start).all()
        assert np.isfinite(drawn.solids.end).all()


def test_things_move_about_as_much_as_people() -> None:
    things, people = [], []
    for seed in range(30):
        drawn = scene(seed, frames=15, actions=("walk", "dance"))
        middle = (drawn.solids.start + drawn.solids.end) / 2
        speed = np.linalg.norm(np.diff(middle, axis=0), axis=-1).mean(0) * 30
        people.extend(speed[: 2 * len(PARTS)])
        things.extend(speed[2 * len(PARTS) :])
    assert 0.3 < np.median(things) / np.median(people) < 3


def test_the_background_does_not_tell_the_class() -> None:
    """A nearest-centroid classifier on backdrop and ground colours stays near chance on other scenes of the class."""
    clips = 6
    features = np.empty((len(JHMDB_CLASSES), clips, 9))
    for label, name in enumerate(JHMDB_CLASSES):
        for clip in range(clips):
            drawn = scene(1000 * label + clip, frames=2, size=64, actions=(name,))
            colours = drawn.backdrop.reshape(-1, 3)
            ground = np.zeros(3) if drawn.ground is None else drawn.ground.mean((0, 1))
            features[label, clip] = np.concatenate([colours.mean(0), colours.std(0), ground])
    features = (features - features.mean((0, 1))) / features.std((0, 1))
    right = 0
    for clip in range(clips):
        centroids = np.delete(features, clip, axis=1).mean(1)
        nearest = np.linalg.norm(features[:, clip, None] - centroids, axis=-1).argmin(1)
        right += np.count_nonzero(nearest == np.arange(len(JHMDB_CLASSES)))
    assert right / (clips * len(JHMDB_CLASSES)) < 3 / len(JHMDB_CLASSES)
