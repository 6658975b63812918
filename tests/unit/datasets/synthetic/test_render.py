"""Rendering: depth order, visibility, sides and faces, and pictures that show what the maps say."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dimofs.datasets.synthetic import body, labels, texture
from dimofs.datasets.synthetic.body import JOINT_PARTS, PARTS, thing
from dimofs.datasets.synthetic.outlines import locate, point, project
from dimofs.datasets.synthetic.render import Clip, render
from dimofs.datasets.synthetic.scene import Camera, Framing, Light, Member, Scene, Sensor, random_scene
from dimofs.datasets.synthetic.skeleton import DOFS, JOINT, JOINTS, Build, forward_kinematics

SIZE = 96


def standing(heading: float, x: float = 0.0, z: float = -5.0, frames: int = 2) -> Member:
    """Someone who stands still, hands at the sides, `heading` radians turned left from facing the camera."""
    build = Build.sample(np.random.default_rng(2))
    root = np.tile([0, build.leg + build.ankle_height, 0], (frames, 1))
    angles = np.zeros((frames, len(DOFS)))
    orientation = np.zeros((frames, 3))
    orientation[:, 1] = heading
    joints = forward_kinematics(build, angles, root, orientation) + np.array([x, 0, z], np.float32)
    return Member(joints.astype(np.float32), build)


def still_scene(members: list[Member], things: list[body.Solids] | None = None) -> Scene:
    """A plain scene before a camera at rest, without noise."""
    frames = len(members[0].joints)
    solids = [body.person(member.joints, member.build, False) for member in members] + (things or [])
    joined = body.join(solids)
    textures = np.full((joined.start.shape[1], texture.ROWS, texture.COLUMNS, 3), 200, np.uint8)
    return Scene(
        camera=Camera(
            np.tile(np.diag([1, -1, -1]).astype(np.float32), (frames, 1, 1)),
            np.tile(np.array([0, 1, 0], np.float32), (frames, 1)),
            np.full(frames, 1.5 * SIZE, np.float32),
            SIZE,
        ),
        members=tuple(members),
        solids=joined,
        textures=textures,
        backdrop=np.zeros((2 * SIZE, 2 * SIZE, 3), np.uint8),
        wall=20.0,
        wall_width=40.0,
        ground=None,
        ground_width=1.0,
        light=Light(np.array([0, 0, 1], np.float32), 0.5, 0.5, np.ones(3, np.float32), 0.0),
        sensor=Sensor(0.0, 0.0, 0.0),
    )


def draw(*members: Member, things: list[body.Solids] | None = None) -> Clip:
    return render(still_scene(list(members), things), np.random.default_rng(0))


@pytest.fixture(scope="module")
def clip() -> Clip:
    framing = Framing(10, SIZE, ("run", "dance", "walk"), distant=1)
    rng = np.random.default_rng(11)
    return render(random_scene(rng, framing), rng)


def part_at(clip: Clip, frame: int, x: float, y: float) -> int:
    return int(clip.parts[frame, round(y), round(x)]) - 1


def test_shapes_and_types(clip: Clip) -> None:
    assert len(clip.frames) == 10
    assert all(frame.shape == (SIZE, SIZE, 3) and frame.dtype == np.uint8 for frame in clip.frames)
    assert clip.parts.shape == (10, SIZE, SIZE)
    assert clip.joints.shape == (10, 4, len(JOINTS), 2)
    assert clip.visible.shape == (10, 4, len(JOINTS))
    assert (clip.parts > 0).any((1, 2)).all()


def test_visible_joints_lie_on_a_part_of_their_own(clip: Clip) -> None:
    found = []
    for frame, member, joint in np.argwhere(clip.visible[:, :3]):  # the fourth is far away, thinner than pixels
        x, y = clip.joints[frame, member, joint].round().astype(int)
        near = clip.parts[frame, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].astype(int) - 1
        found.append(JOINT_PARTS[joint, near[near // len(PARTS) == member] % len(PARTS)].any())
    # Noses and toes are so thin that some fall between the pixels of the smaller map.
    assert len(found) > 200
    assert np.mean(found) > 0.98


def test_joints_outside_the_frame_are_not_visible(clip: Clip) -> None:
    outside = ((clip.joints < -0.5) | (clip.joints > SIZE - 0.5)).any(-1)
    assert not clip.visible[outside].any()


def test_every_pixel_of_a_part_is_inside_its_outline(clip: Clip) -> None:
    for frame in (0, 5):
        for solid in np.unique(clip.parts[frame])[1:].astype(int) - 1:
            inside = np.zeros((SIZE, SIZE), np.uint8)
            cv2.fillConvexPoly(inside, np.round(clip.corners[frame, solid] * 64).astype(np.int32), 1, cv2.LINE_8, 6)
            inside = cv2.dilate(inside, np.ones((3, 3)))
            assert (inside[clip.parts[frame] == solid + 1] == 1).all()


def test_left_is_on_the_right_of_the_picture_when_facing_the_camera() -> None:
    facing, away = draw(standing(0.0)), draw(standing(np.pi))
    left, right = JOINT["left_shoulder"], JOINT["right_shoulder"]
    assert facing.joints[0, 0, left, 0] > facing.joints[0, 0, right, 0] + 3
    assert away.joints[0, 0, left, 0] < away.joints[0, 0, right, 0] - 3
    x, y = (facing.joints[0, 0, JOINT["left_elbow"]] + facing.joints[0, 0, left]) / 2
    assert PARTS[part_at(facing, 0, x, y)] == "left_upper_arm"


def test_the_nose_shows_from_the_front_and_the_side_but_not_from_behind() -> None:
    nose = JOINT["nose"]
    assert draw(standing(0.0)).visible[0, 0, nose]
    assert draw(standing(np.pi / 2)).visible[0, 0, nose]
    assert not draw(standing(np.pi)).visible[0, 0, nose]


def test_the_face_is_on_the_front_of_the_head() -> None:
    """Skin in front and hair behind: the texture's column 0 is what the camera sees of someone who looks into it."""
    for heading, expected in ((0.0, 0.0), (np.pi, np.pi), (np.pi / 2, np.pi / 2)):
        turn = project(still_scene([standing(heading)])).turn[0, PARTS.index("head")]
        assert abs(np.angle(np.exp(1j * (abs(turn) - expected)))) < 0.05


def test_the_nearer_person_hides_the_farther_one() -> None:
    near, far = standing(0.0, z=-4.0), standing(0.0, z=-6.0)
    clip = draw(far, near)
    x, y = clip.joints[0, 1, JOINT["belly"]]
    assert part_at(clip, 0, x, y) // len(PARTS) == 1
    assert clip.visible[0, 1, JOINT["belly"]]
    assert not clip.visible[0, 0, JOINT["belly"]]
    alone = draw(far)
    assert alone.visible[0, 0, JOINT["belly"]]


def test_a_thing_in_front_hides_joints_and_one_behind_does_not() -> None:
    def panel(z: float) -> body.Solids:
        start = np.tile(np.array([0, 0.5, z], np.float32), (2, 1))
        return thing(
            start, start + np.array([0, 0.5, 0], np.float32), np.tile([0.0, 0.0, 1.0], (2, 1)), 0.5, 0.5, flat=True
        )

    person = standing(0.0)
    front, behind = draw(person, things=[panel(-4.0)]), draw(person, things=[panel(-7.0)])
    hips = [JOINT["left_hip"], JOINT["right_hip"]]
    assert not front.visible[0, 0, hips].any()
    assert front.visible[0, 0, JOINT["left_ankle"]]
    assert behind.visible[0, 0, hips].all()
    assert (front.parts[0] == len(PARTS) + 1).sum() > 100


def test_an_arm_before_the_trunk_hides_it_and_one_behind_does_not() -> None:
    person = standing(0.0)
    joints = person.joints.copy()
    for side, sign in (("left", 1.0), ("right", -1.0)):
        elbow, wrist, hand = (JOINT[f"{side}_{name}"] for name in ("elbow", "wrist", "hand"))
        belly = joints[:, JOINT["belly"]]
        joints[:, wrist] = belly + np.array([0.02 * sign, 0, 0.25 * sign], np.float32)  # left in front, right behind
        joints[:, hand] = joints[:, wrist] - np.array([0.08 * sign, 0, 0], np.float32)
        joints[:, elbow] = (joints[:, wrist] + joints[:, JOINT[f"{side}_shoulder"]]) / 2 + np.array([0.1 * sign, 0, 0])
    clip = draw(replace(person, joints=joints))
    assert clip.visible[0, 0, JOINT["left_wrist"]]
    assert not clip.visible[0, 0, JOINT["right_wrist"]]


def test_light_from_the_left_brightens_the_left_of_a_limb() -> None:
    scene = still_scene([standing(0.0)])
    lit = replace(scene, light=replace(scene.light, direction=np.array([-1, 0, 0], np.float32)))
    clip = render(lit, np.random.default_rng(0))
    chest = clip.parts[0] == PARTS.index("chest") + 1
    rows, columns = np.nonzero(cv2.erode(chest.astype(np.uint8), np.ones((3, 3))))
    middle = np.median(columns)
    brightness = clip.frames[0][rows, columns].mean(-1)
    assert brightness[columns < middle].mean() > brightness[columns > middle].mean() + 10


def test_the_picture_without_people_is_the_background() -> None:
    clip = draw(standing(0.0))
    away = cv2.dilate((clip.parts[0] > 0).astype(np.uint8), np.ones((5, 5))) == 0
    assert (clip.frames[0][away] == 0).all()
    inside = cv2.erode((clip.parts[0] > 0).astype(np.uint8), np.ones((3, 3))) == 1
    assert (clip.frames[0][inside].min(-1) > 60).all()


def test_locate_and_point_are_inverse(clip: Clip) -> None:
    y, x = np.nonzero(clip.parts[4])
    rows = clip.outlines.table()[4][:, clip.parts[4][y, x].astype(int) - 1]
    t, over, v = locate(rows, x.astype(np.float32), y.astype(np.float32))
    back_x, back_y = point(rows, t, over, v)
    # Where an outline is drawn a little wider than its surface, the surface's edge is what comes back.
    error = np.hypot(back_x - x, back_y - y)
    assert np.median(error) < 1e-3
    assert np.quantile(error, 0.98) < 1.0


def test_motion_blur_follows_the_shutter() -> None:
    rng = np.random.default_rng(5)
    scene = random_scene(rng, Framing(6, SIZE, ("run",), tripods=0.0, pan=0.5))
    quiet = replace(scene, sensor=Sensor(0.0, 0.0, 0.0))
    sharp = render(quiet, np.random.default_rng(0)).frames
    blurred = render(replace(quiet, sensor=Sensor(0.0, 1.0, 0.0)), np.random.default_rng(0)).frames

    def detail(frames: list[texture.Picture]) -> float:
        return float(np.mean([np.abs(np.diff(frame.astype(int), axis=1)).mean() for frame in frames]))

    assert detail(blurred) < 0.97 * detail(sharp)


def test_posetrack_labels_follow_the_official_rules(clip: Clip) -> None:
    found = labels.posetrack_labels(clip, {0: 10_000_010_000, 5: 10_000_010_005})
    assert set(found) == {0, 5}
    for frame, label in found.items():
        for index, annotation in enumerate(label.annotations):
            assert annotation["id"] == annotation["image_id"] * 100 + index
            keypoints = np.array(annotation["keypoints"]).reshape(17, 3)
            visible = keypoints[:, 2] == 1
            assert (keypoints[~visible] == 0).all()
            assert not visible[3:5].any()  # ears
            assert visible.sum() >= labels.FEWEST_JOINTS
            low, high = keypoints[visible, :2].min(0), keypoints[visible, :2].max(0)
            x, y, width, height = annotation["bbox"]
            np.testing.assert_allclose([width, height], 1.3 * (high - low), atol=0.011)
            np.testing.assert_allclose([x + width / 2, y + height / 2], (low + high) / 2, atol=0.02)
            knee = clip.joints[frame, annotation["track_id"], JOINT["left_knee"]]
            expected = knee if visible[13] else np.zeros(2)
            np.testing.assert_allclose(keypoints[13, :2], expected, atol=0.006)
        assert len(label.ignore_x) == len(label.ignore_y)
        for xs, ys in zip(label.ignore_x, label.ignore_y, strict=True):
            assert len(xs) == len(ys) > 2


def test_small_and_hidden_people_become_ignore_regions() -> None:
    far = standing(0.0, x=1.5, z=-14.0)
    found = labels.posetrack_labels(draw(standing(0.0), far), {0: 1})[0]
    assert [annotation["track_id"] for annotation in found.annotations] == [0]
    assert len(found.ignore_x) == 1
    low, high, front = (np.tile(np.array(each, np.float32), (2, 1)) for each in ((0, 0.3, -4), (0, 3, -4), (0, 0, 1)))
    hidden = labels.posetrack_labels(draw(standing(0.0), things=[thing(low, high, front, 1, 1, flat=True)]), {0: 1})[0]
    assert not hidden.annotations
    assert len(hidden.ignore_x) == 1


def test_head_box_spans_neck_to_top() -> None:
    clip = draw(standing(0.0))
    x1, y1, x2, y2 = labels.head_boxes(clip)[0, 0]
    top, neck = clip.joints[0, 0, JOINT["head_top"]], clip.joints[0, 0, JOINT["head_bottom"]]
    assert y1 <= top[1] + 0.5
    assert y2 == pytest.approx(neck[1], abs=0.5)
    assert 0.4 < (x2 - x1) / (y2 - y1) < 1.1


def test_puppet_mask_is_the_whole_actor_even_where_hidden() -> None:
    alone = labels.puppet_mask(draw(standing(0.0)))
    hidden = labels.puppet_mask(draw(standing(0.0), standing(0.0, x=0.1, z=-4.0)))
    np.testing.assert_array_equal(alone, hidden)
    seen = draw(standing(0.0)).parts > 0
    assert (cv2.dilate(alone[0], np.ones((3, 3)))[seen[0]] == 1).all()
    assert alone[0].sum() < 1.25 * seen[0].sum()
