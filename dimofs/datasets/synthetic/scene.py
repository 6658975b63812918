"""A random scene: people on the ground in front of a backdrop, things that move, a hand-held camera, light and sensor.

World coordinates are metres, right-handed, y up, ground y = 0. The camera is near (0, height, 0) and looks along −z;
its own coordinates are x right, y down, z forward. The centre of the top-left pixel is (0, 0).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dimofs.datasets.synthetic import body, motions, texture, things
from dimofs.datasets.synthetic.skeleton import JOINT, Build
from dimofs.datasets.synthetic.texture import Array, Picture
from dimofs.datasets.synthetic.things import FRAME_RATE, sway

_TRIES = 12  # placements drawn before people may stand in each other's way
_USUAL_HEIGHT = 1.7  # metres; who is shorter is shorter in the frame, too
_HEADROOM = 0.44  # no head is higher above the middle of the picture, as a fraction of the frame


@dataclass(frozen=True)
class Camera:
    """A perspective camera over T frames, looking at frames of size × size pixels."""

    rotation: Array  #: (T, 3, 3) world to camera
    position: Array  #: (T, 3) metres
    focal: Array  #: (T,) pixels
    size: int  #: pixels

    def view(self, points: Array) -> Array:
        """World points (T, ..., 3) in camera coordinates."""
        shape = points.shape
        flat = points.reshape(shape[0], -1, 3) - self.position[:, None]
        return (flat @ self.rotation.transpose(0, 2, 1)).reshape(shape)

    def pixels(self, viewed: Array) -> Array:
        """Pixels (T, ..., 2) of points in camera coordinates (T, ..., 3); points behind are put 0.1 m in front."""
        depth = np.maximum(viewed[..., 2], 0.1)
        scale = self.focal.reshape(-1, *[1] * (depth.ndim - 1)) / depth
        return viewed[..., :2] * scale[..., None] + (self.size - 1) / 2


@dataclass(frozen=True)
class Member:
    """One person of a scene."""

    joints: Array  #: (T, 21, 3) world positions of `skeleton.JOINTS`
    build: Build


@dataclass(frozen=True)
class Light:
    """Sun or lamp, and what comes from everywhere."""

    direction: Array  #: (3,) world, unit, towards the light
    ambient: float
    diffuse: float
    cast: Array  #: (3,) gains of blue, green, red
    shadow: float  #: darkness of shadows on the ground, 0: none


@dataclass(frozen=True)
class Sensor:
    """What the camera does to the picture."""

    blur: float  #: standard deviation of the optics' blur, pixels
    shutter: float  #: exposure time as a fraction of the frame interval
    noise: float  #: standard deviation, grey levels


@dataclass(frozen=True)
class Scene:
    """All that a clip shows."""

    camera: Camera
    members: tuple[Member, ...]
    solids: body.Solids  #: 18 of every member in order, then those of props and other things
    textures: Picture  #: (P, ROWS, COLUMNS, 3), one a solid
    backdrop: Picture  #: (S, S, 3), on a wall across the view
    wall: float  #: metres from the camera's start to the wall
    wall_width: float  #: metres
    ground: Picture | None  #: (S, S, 3) repeated over the ground, or no ground to be seen
    ground_width: float  #: metres
    light: Light
    sensor: Sensor


def turned(points: Array, heading: float) -> Array:
    """Points (..., 3) turned about the vertical axis."""
    cosine, sine = np.cos(heading), np.sin(heading)
    turn = np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]], np.float32)
    return points @ turn


def rotations(yaw: Array, pitch: Array, roll: Array) -> Array:
    """World-to-camera rotations (T, 3, 3): yaw to the right, pitch upwards, roll clockwise, from looking along −z."""
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)

    def matrix(*rows: Sequence[Array]) -> Array:
        return np.stack([np.stack(row, -1) for row in rows], -2)

    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    about = matrix((cy, zero, sy), (zero, one, zero), (-sy, zero, cy))
    axes = matrix((one, zero, zero), (zero, -one, zero), (zero, zero, -one))
    tilt = matrix((one, zero, zero), (zero, cp, sp), (zero, -sp, cp))
    lean = matrix((cr, -sr, zero), (sr, cr, zero), (zero, zero, one))
    return (lean @ tilt @ axes @ about).astype(np.float32)


#: Gives a random take of an action: its name, T frames, who performs, the randomness; see `motions.perform`.
Perform = Callable[[str, int, Build, np.random.Generator], motions.Performance]


@dataclass(frozen=True)
class Framing:
    """What a scene is made for; heights are those of a standing person as fractions of the frame."""

    frames: int
    size: int  #: pixels
    actions: tuple[str, ...]  #: one motion a person; the first is the one that the camera cares for
    tallest: float = 0.95
    smallest: float = 0.55
    spread: float = 0.36  #: people stand up to this fraction of the frame from its centre, the first up to half of it
    margin: float = 0.02  #: how close to the edge hip and head of the first may come, as a fraction of the frame
    tripods: float = 0.15  #: share of cameras on a tripod, which stand still unless the first person leaves the frame
    pan: float = 0.25  #: largest amplitude of the camera's wandering, as a fraction of the frame
    close_ups: float = 0.0  #: share of scenes framed on the first person's upper body, whose legs are then cut off
    bystanders: int = 0  #: people who hardly move
    distant: int = 0  #: people far behind, too small to label
    moments: int | None = None  #: perform this many frames and show `frames` of them from a random time; None: all
    perform: Perform = motions.perform  #: gives a take of an action
    others: tuple[str, ...] = motions.FREE_MOTIONS  #: what bystanders and people far away do


def _perform(rng: np.random.Generator, action: str, framing: Framing) -> tuple[Build, motions.Performance]:
    """One person's motion, cut to the frames that are shown."""
    build = Build.sample(rng)
    if framing.moments is None:
        return build, framing.perform(action, framing.frames, build, rng)
    whole = framing.perform(action, framing.moments, build, rng)
    first = rng.integers(framing.moments - framing.frames + 1)
    pick = slice(first, first + framing.frames)
    props = tuple(
        replace(prop, start=prop.start[pick], end=prop.end[pick], present=prop.present[pick]) for prop in whole.props
    )
    return build, motions.Performance(positions=whole.positions[pick], props=props)


def _slowed(positions: Array, pace: float) -> Array:
    """A motion (T, 21, 3) at a fraction of its pace, around its middle."""
    frames = len(positions)
    time = (frames - 1) / 2 + pace * (np.arange(frames) - (frames - 1) / 2)
    low = np.floor(time).astype(np.intp)
    share = (time - low).astype(np.float32)[:, None, None]
    return (1 - share) * positions[low] + share * positions[np.minimum(low + 1, frames - 1)]


@dataclass(frozen=True)
class _Place:
    """Where on the ground a person performs."""

    heading: float
    offset: Array  #: (3,)
    distance: float  #: metres from the camera in the middle of the clip

    def moved(self, points: Array) -> Array:
        """Points (..., 3) of the performance, in the world."""
        return (turned(points, self.heading) + self.offset).astype(np.float32)


def _place(
    rng: np.random.Generator,
    positions: Array,
    others: Sequence[Member],
    focal: float,
    size: int,
    heights: tuple[float, float],
    spread: float,
) -> _Place:
    """A place where the person is as tall in the frame as asked, near nobody and not about to run into the camera.

    Where no such place is found within some draws the last one is taken: people do meet and stand in each other's way.
    """
    for _ in range(_TRIES):
        distance = focal * _USUAL_HEIGHT / (rng.uniform(*heights) * size)
        across = rng.uniform(-spread, spread) * size / focal * distance
        place = _Place(rng.normal(0, 0.8), np.zeros(3, np.float32), distance)
        middle = place.moved(positions[len(positions) // 2, :1])[0] * (1, 0, 1)
        place = replace(place, offset=np.array((across, 0, -distance), np.float32) - middle)
        hips = place.moved(positions[:, 0])[:, [0, 2]]
        gaps = [np.linalg.norm(hips - other.joints[:, 0, [0, 2]], axis=-1).min() for other in others]
        if min(gaps, default=9.0) > 0.6 and hips[:, 1].max() < -0.55 * distance:
            break
    return place


def random_scene(rng: np.random.Generator, framing: Framing) -> Scene:
    """Draw a scene. Everything comes from `rng`, so equal generators give equal scenes."""
    size, frames = framing.size, framing.frames
    focal = size * float(np.exp(rng.uniform(np.log(0.9), np.log(3.2))))
    close_up = bool(rng.random() < framing.close_ups)
    first_height = rng.uniform(0.95, 1.4) if close_up else rng.uniform(framing.smallest + 0.12, framing.tallest)

    members: list[Member] = []
    props: list[motions.Prop] = []
    places: list[_Place] = []
    free = [str(action) for action in rng.choice(framing.others, framing.bystanders + framing.distant)]
    for index, action in enumerate((*framing.actions, *free)):
        build, performance = _perform(rng, action, framing)
        positions, used = performance.positions, performance.props
        heights, spread = (first_height, first_height), framing.spread
        if index == 0:
            spread /= 2
        elif index < len(framing.actions):
            heights = max(framing.smallest, 0.7 * first_height), min(framing.tallest, 1.4 * first_height)
        elif index < len(framing.actions) + framing.bystanders:
            heights, spread = (0.6 * first_height, 0.95 * first_height), 0.5
            positions, used = _slowed(positions, rng.uniform(0, 0.2)), ()
        else:
            heights, spread = (0.07, 0.14), 0.48
        place = _place(rng, positions, members, focal, size, heights, spread)
        members.append(Member(place.moved(positions), build))
        places.append(place)
        props.extend(replace(prop, start=place.moved(prop.start), end=place.moved(prop.end)) for prop in used)

    near = members[: len(members) - framing.distant]
    camera = _camera(rng, framing, focal, near, places[0].distance, 0.72 if close_up else 0.5)
    solids: list[body.Solids] = []
    textures: list[Picture] = []
    for member in members:
        atlas, ponytail = texture.person_atlas(rng)
        solids.append(body.person(member.joints, member.build, ponytail))
        textures.extend(atlas)
    half_width = 0.5 * size / focal * places[0].distance
    for thing in (*map(things.prop, props), *things.distractors(rng, frames, places[0].distance, half_width)):
        solids.append(thing)
        textures.append(texture.object_texture(rng))

    wall = max(float(-member.joints[..., 2].min()) for member in members) + rng.uniform(0.5, 10)
    return Scene(
        camera=camera,
        members=tuple(members),
        solids=body.join(solids),
        textures=np.stack(textures),
        backdrop=texture.backdrop(rng, 2 * size),
        wall=wall,
        wall_width=2.2 * wall * size / focal,
        ground=texture.ground(rng, 2 * size) if rng.random() < 0.75 else None,
        ground_width=rng.uniform(2, 8),
        light=daylight(rng),
        sensor=Sensor(
            blur=max(0.0, rng.uniform(-0.3, 0.8)),
            shutter=rng.uniform(0, 0.6),
            noise=float(np.exp(rng.uniform(-0.7, 1.2))),
        ),
    )


def _camera(
    rng: np.random.Generator, framing: Framing, focal: float, members: Sequence[Member], distance: float, aim: float
) -> Camera:
    """A camera on a tripod, in a hand or following the first person; `aim` of the way up the body is in its middle.

    It points higher where heads would be cut off: rather the feet.
    """
    frames, size, member = framing.frames, framing.size, members[0]
    height = rng.uniform(0.7, 2.4) if rng.random() < 0.85 else rng.uniform(2.4, 6)
    height = min(height, 0.7 + 0.5 * distance)  # never so near and high that heads hide the bodies
    steady = rng.random() < framing.tripods
    shake = 0.0 if steady else size * float(np.exp(rng.uniform(np.log(0.001), np.log(0.012))))
    pan = 0.0 if steady else rng.uniform(0, framing.pan) * size
    travel = rng.uniform(-0.6, 0.6, 3) * (0.0 if steady or rng.random() < 0.5 else 1.0)
    position = np.array((0, height, 0)) + np.linspace(-0.5, 0.5, frames)[:, None] * travel * frames / FRAME_RATE
    middle = position[frames // 2]
    heights = member.joints[..., 1]
    centre = float((aim * heights.max(1) + (1 - aim) * heights.min(1)).mean())
    pitch = np.arctan2(centre - middle[1], distance) + rng.uniform(-0.07, 0.07) * size / focal
    heads = np.stack([other.joints[:, JOINT["head_top"]] for other in members]) - middle
    highest = np.median(np.arctan2(heads[..., 1], -heads[..., 2]), axis=1).max()
    pitch = max(pitch, highest - np.arctan(_HEADROOM * size / focal))
    zoom = 1 + (0.0 if steady or rng.random() < 0.8 else 0.08) * sway(rng, frames, 0.1, 0.5)
    wander, shakes = ([sway(rng, frames, *rates) for _ in "xy"] for rates in ((0.1, 0.5), (0.8, 6.0)))
    roll = rng.normal(0, 0.03) + 0.15 * shake / size * sway(rng, frames, 0.5, 4.0)
    bearing = np.arctan2(member.joints[:, 0, 0] - position[:, 0], position[:, 2] - member.joints[:, 0, 2])
    lag = rng.integers(1, 8)
    padded = np.concatenate([np.full(lag, bearing[0]), bearing, np.full(lag, bearing[-1])])
    bearing = np.convolve(padded, np.full(2 * lag + 1, 1 / (2 * lag + 1)), "valid")
    follow = 0.0 if steady or rng.random() < 0.4 else rng.uniform(0.4, 1)
    # A cameraman who loses the first person follows more closely and swings about less.
    for strength, calm in ((follow, 1.0), (max(follow, 0.6), 0.8), (max(follow, 0.85), 0.5), (1.0, 0.2)):
        swing = [
            (calm * pan * (path - path[frames // 2]) + shake * fast) / focal
            for path, fast in zip(wander, shakes, strict=True)
        ]
        yaw = strength * (bearing - bearing[frames // 2]) + swing[0]
        camera = Camera(
            rotation=rotations(yaw, pitch + swing[1], np.broadcast_to(roll, frames)),
            position=position.astype(np.float32),
            focal=(focal * zoom).astype(np.float32),
            size=size,
        )
        kept = camera.pixels(camera.view(member.joints[:, [JOINT["pelvis"], JOINT["head_top"]]])) / size
        if kept.min() > framing.margin and kept.max() < 1 - framing.margin:
            break
    return camera


def daylight(rng: np.random.Generator) -> Light:
    """Sun, lamp or an overcast sky, with a colour cast."""
    elevation, azimuth = rng.uniform(0.3, 1.4), rng.uniform(0, 2 * np.pi)
    direction = (np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth))
    ambient = rng.uniform(0.35, 0.8)
    exposure = rng.uniform(0.8, 1.15)
    sunny = rng.random() < 0.6
    return Light(
        direction=np.array(direction, np.float32),
        ambient=ambient * exposure,
        diffuse=(1.05 - ambient) * exposure,
        cast=np.exp(rng.normal(0, 0.06, 3)).astype(np.float32),
        shadow=rng.uniform(0.2, 0.6) if sunny else rng.uniform(0, 0.2),
    )
