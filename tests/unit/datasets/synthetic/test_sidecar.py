"""Sidecars: what goes in comes out, and the flow is the motion of the body."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from dimofs.datasets.records import DatasetError
from dimofs.datasets.synthetic.body import JOINT_PARTS, PARTS
from dimofs.datasets.synthetic.render import Clip, render
from dimofs.datasets.synthetic.scene import Framing, Sensor, random_scene
from dimofs.datasets.synthetic.sidecar import (
    Sidecar,
    depth_order,
    load_sidecar,
    person_flow,
    person_masks,
    thing_flow,
    write_sidecar,
)
from dimofs.datasets.synthetic.skeleton import JOINT


@pytest.fixture(scope="module")
def clip() -> Clip:
    rng = np.random.default_rng(7)
    return render(random_scene(rng, Framing(8, 128, ("dance", "walk"))), rng)


@pytest.fixture(scope="module")
def sidecar(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Sidecar:
    path = tmp_path_factory.mktemp("sidecar") / "clip.npz"
    write_sidecar(clip, path)
    return load_sidecar(path)


def test_round_trip(clip: Clip, sidecar: Sidecar) -> None:
    np.testing.assert_array_equal(sidecar.parts, clip.parts)
    assert sidecar.people == 2
    np.testing.assert_array_equal(sidecar.outlines.turn, clip.outlines.turn)
    np.testing.assert_array_equal(sidecar.outlines.drawn, clip.outlines.drawn)


def test_sidecars_are_small(clip: Clip, tmp_path: Path) -> None:
    write_sidecar(clip, tmp_path / "clip.npz")
    assert (tmp_path / "clip.npz").stat().st_size / len(clip.frames) < 8000


def test_masks_are_the_people_of_the_map(clip: Clip, sidecar: Sidecar) -> None:
    masks = person_masks(sidecar, 3)
    assert masks.shape == (2, 128, 128)
    assert masks.any((1, 2)).all()
    assert not masks.all(0).any()
    np.testing.assert_array_equal(masks.any(0), (clip.parts[3] > 0) & (clip.parts[3] <= 2 * len(PARTS)))
    for member in range(2):
        x, y = clip.joints[3, member, JOINT["belly"]].round().astype(int)
        if clip.visible[3, member, JOINT["belly"]]:
            assert masks[member, y, x]


def test_depth_order_is_far_to_near_and_explains_the_map(sidecar: Sidecar) -> None:
    order = depth_order(sidecar, 2)
    assert (np.diff(sidecar.outlines.depth[2, order]) <= 0).all()
    seen = np.unique(sidecar.parts[2])[1:].astype(int) - 1
    assert set(seen) <= set(order.tolist())


def test_flow_from_a_frame_to_itself_is_zero(sidecar: Sidecar) -> None:
    flow, valid = person_flow(sidecar, 4, 4)
    assert flow.dtype == np.float32
    assert flow.shape == (128, 128, 2)
    # Border pixels that an outline covers beyond its surface move onto the surface.
    assert np.quantile(np.abs(flow[valid]), 0.98) < 0.6
    assert np.median(np.abs(flow[valid])) < 1e-4
    assert (flow[~valid] == 0).all()


@pytest.mark.parametrize(("a", "b"), [(2, 3), (3, 2), (6, 5)])
def test_flow_at_visible_joints_is_their_displacement(clip: Clip, sidecar: Sidecar, a: int, b: int) -> None:
    """But for the turn of the limb about its axis, on which the joint lies: the flow is that of the skin."""
    flow, valid = person_flow(sidecar, a, b)
    shapes = sidecar.outlines
    limbs = [JOINT[f"{side}_{name}"] for side in ("left", "right") for name in ("elbow", "wrist", "knee", "ankle")]
    errors = []
    for member, limb in np.argwhere(clip.visible[a][:, limbs]):
        joint = limbs[limb]
        x, y = clip.joints[a, member, joint].round().astype(int)
        solid = int(sidecar.parts[a, y, x]) - 1
        if solid // len(PARTS) != member or not JOINT_PARTS[joint, solid % len(PARTS)]:
            continue
        assert valid[y, x]
        error = np.linalg.norm(flow[y, x] - (clip.joints[b, member, joint] - clip.joints[a, member, joint]))
        turn = shapes.turn[b, solid] - shapes.turn[a, solid]
        errors.append(error)
        assert error < 0.5 + 2 * np.abs(np.sin(turn / 2)) * shapes.width[[a, b], solid].max()
    assert len(errors) >= 8
    assert np.median(errors) < 0.7


def test_flow_explains_the_picture() -> None:
    """Under even light, what the flow fetches from frame b looks like frame a, where the same part is in front."""
    rng = np.random.default_rng(3)
    scene = random_scene(rng, Framing(4, 128, ("run",), tallest=0.9, smallest=0.7))
    light = replace(scene.light, ambient=1.0, diffuse=0.0)
    clip = render(replace(scene, light=light, sensor=Sensor(0.0, 0.0, 0.0)), rng)
    known = Sidecar(clip.parts, 1, clip.outlines)
    flow, valid = person_flow(known, 1, 2)
    x, y = np.meshgrid(np.arange(128, dtype=np.float32), np.arange(128, dtype=np.float32))
    there_x, there_y = x + flow[..., 0], y + flow[..., 1]
    parts = cv2.remap(clip.parts[2], there_x, there_y, cv2.INTER_NEAREST)
    same = cv2.erode((valid & (parts == clip.parts[1])).astype(np.uint8), np.ones((3, 3))) == 1
    fetched = cv2.remap(clip.frames[2], there_x, there_y, cv2.INTER_LINEAR)
    error = np.abs(fetched.astype(float) - clip.frames[1])[same].mean()
    without = np.abs(clip.frames[2].astype(float) - clip.frames[1])[same].mean()
    assert same.sum() > 200
    assert error < 0.35 * without


def test_flow_leads_to_the_same_surface(clip: Clip, sidecar: Sidecar) -> None:
    """Where the flow arrives on the same part, going back returns to the start: the point is one of the body."""
    there, valid = person_flow(sidecar, 2, 3)
    back, _ = person_flow(sidecar, 3, 2)
    y, x = np.nonzero(valid)
    arrived = np.stack([x, y], -1) + there[y, x]
    place = arrived.round().astype(int)
    inside = ((place >= 0) & (place < 128)).all(-1)
    y, x, place, arrived = y[inside], x[inside], place[inside], arrived[inside]
    same = sidecar.parts[3, place[:, 1], place[:, 0]] == sidecar.parts[2, y, x]
    assert same.mean() > 0.6
    returned = arrived + back[place[:, 1], place[:, 0]]
    error = np.linalg.norm(returned - np.stack([x, y], -1), axis=-1)[same]
    assert np.median(error) < 0.6


def test_things_have_a_flow_of_their_own_and_share_no_pixel_with_people() -> None:
    rng = np.random.default_rng(1)
    clip = render(random_scene(rng, Framing(6, 128, ("tennis_swing",))), rng)
    known = Sidecar(clip.parts, 1, clip.outlines)
    flow, things = thing_flow(known, 1, 4)
    _, people = person_flow(known, 1, 4)
    np.testing.assert_array_equal(things | people, clip.parts[1] > 0)
    assert not (things & people).any()
    assert things.any()
    assert (flow[~things] == 0).all()
    for solid in np.unique(clip.parts[1][things]).astype(int) - 1:
        here = things & (clip.parts[1] == solid + 1)
        middle = [(clip.outlines.start[t, solid] + clip.outlines.end[t, solid]) / 2 for t in (1, 4)]
        reach = (
            2
            + 2 * clip.outlines.width[[1, 4], solid].max()
            + np.abs(
                np.diff([clip.outlines.end[t, solid] - clip.outlines.start[t, solid] for t in (1, 4)], axis=0)
            ).max()
        )
        assert np.linalg.norm(np.median(flow[here], axis=0) - (middle[1] - middle[0])) < reach


def test_a_broken_or_missing_sidecar_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"missing\.npz"):
        load_sidecar(tmp_path / "missing.npz")
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    with pytest.raises(DatasetError, match=r"broken\.npz"):
        load_sidecar(tmp_path / "broken.npz")
    np.savez(tmp_path / "other.npz", parts=np.zeros(3))
    with pytest.raises(DatasetError, match=r"other\.npz"):
        load_sidecar(tmp_path / "other.npz")
