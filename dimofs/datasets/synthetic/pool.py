"""Scenes of diving: a venue with its pool, board and camera station, and a dive in it that the camera follows.

A venue stands for a source video of Diving48, of which there are many clips. Nothing in it knows the class of a dive.
"""

from dataclasses import dataclass, replace

import numpy as np

from dimofs.datasets.synthetic import body, texture
from dimofs.datasets.synthetic.dives import GRAVITY, Board, Take
from dimofs.datasets.synthetic.scene import Camera, Light, Member, Scene, Sensor, daylight, rotations, turned
from dimofs.datasets.synthetic.skeleton import Build
from dimofs.datasets.synthetic.texture import Array, Picture
from dimofs.datasets.synthetic.things import sway

_USUAL_HEIGHT = 1.7  # metres
_DROPS = 24  # solids of a splash
_LOWEST = 0.7  # metres above the water: the camera points no lower


@dataclass(frozen=True)
class Venue:
    """What all clips of a source video share; the camera is at (0, height, 0), the board's tip at −distance."""

    board: Board
    distance: float  #: metres
    height: float  #: of the camera, metres
    heading: float  #: where the board points, radians; ±π/2 is across the view
    share: float  #: height of a standing person over the frame's
    wall: float  #: metres from the camera to the wall
    backdrop: Picture
    water: Picture
    water_width: float  #: metres
    plank: Picture
    tower: Picture
    light: Light
    sensor: Sensor
    shake: float  #: of the camera, as a fraction of the frame
    lag: int  #: frames that the camera is late
    quality: int  #: constant rate factor of the video's compression, 0 is lossless

    @staticmethod
    def sample(rng: np.random.Generator, size: int) -> "Venue":
        """A random venue for frames of size × size pixels: a springboard of 3 m or a platform of 10 m."""
        springboard = bool(rng.random() < 0.65)
        distance = rng.uniform(10, 25)
        light = daylight(rng)
        ambient = max(light.ambient, 0.65)  # competitions are lit for cameras
        return Venue(
            board=Board(3.0, rng.uniform(0.4, 0.7), (4.4, 5.4)) if springboard else Board(10.0, 0.0, (2.5, 3.3)),
            distance=distance,
            height=rng.uniform(1.5, 6.0),
            heading=float(rng.choice((-1, 1)) * np.pi / 2 + rng.normal(0, 0.2)),
            share=rng.uniform(0.42, 0.58),
            wall=distance + rng.uniform(5, 25),
            backdrop=texture.backdrop(rng, 4 * size),
            water=texture.water(rng, 2 * size),
            water_width=rng.uniform(3, 8),
            plank=texture.object_texture(rng),
            tower=texture.object_texture(rng),
            light=replace(light, ambient=ambient, shadow=0.0),  # water shows no shadow
            sensor=Sensor(
                blur=max(0.0, rng.uniform(-0.3, 0.8)),
                shutter=rng.uniform(0, 0.5),
                noise=float(np.exp(rng.uniform(-0.7, 1.2))),
            ),
            shake=float(np.exp(rng.uniform(np.log(0.002), np.log(0.012)))),
            lag=int(rng.integers(0, 2)),
            quality=int(rng.integers(16, 25)),
        )


@dataclass(frozen=True)
class Diver:
    """One of the divers of a source video."""

    build: Build
    atlas: Picture

    @staticmethod
    def sample(rng: np.random.Generator) -> "Diver":
        """A random adult or youth in swimwear."""
        build = Build.sample(rng)
        while build.height < 1.5:
            build = Build.sample(rng)
        return Diver(build, texture.diver_atlas(rng))


def pool_scene(venue: Venue, diver: Diver, take: Take, size: int, rng: np.random.Generator) -> Scene:
    """The scene of a dive; `rng` draws the splash and how the camera is held."""

    def placed(points: Array) -> Array:
        return (turned(points, venue.heading) + np.array((0, 0, -venue.distance))).astype(np.float32)

    joints = placed(take.positions)
    drops = _splash(take, rng)
    things = [replace(thing, start=placed(thing.start), end=placed(thing.end),
                      front=turned(thing.front, venue.heading).astype(np.float32))
              for thing in (*_board(venue.board, take, diver.build), *drops)]  # fmt: skip
    white = texture.spray(rng)
    return Scene(
        camera=_camera(venue, placed(take.mass[:, None])[:, 0], size, rng),
        members=(Member(joints, diver.build),),
        solids=body.join([_above_water(body.person(joints, diver.build, ponytail=False)), *things]),
        textures=np.stack([*diver.atlas, venue.plank, venue.tower, *len(drops) * [white]]),
        backdrop=venue.backdrop,
        wall=venue.wall,
        wall_width=5 * venue.wall * _USUAL_HEIGHT / venue.share / venue.distance,
        ground=venue.water,
        ground_width=venue.water_width,
        light=venue.light,
        sensor=venue.sensor,
    )


def _above_water(solids: body.Solids) -> body.Solids:
    """Solids cut off at the surface; what is under it is not there."""
    low, high = solids.start[..., 1:2], solids.end[..., 1:2]
    span = np.where(np.abs(high - low) < 1e-6, 1e-6, high - low)
    surface = solids.start + (solids.end - solids.start) * np.clip(-low / span, 0, 1)
    return replace(
        solids,
        start=np.where(low < 0, surface, solids.start).astype(np.float32),
        end=np.where(high < 0, surface, solids.end).astype(np.float32),
        present=solids.present & (np.maximum(low, high)[..., 0] > 0),
    )


def _board(board: Board, take: Take, build: Build) -> list[body.Solids]:
    """Plank or slab, and the tower that carries it, in the dive frame; behind the diver wherever they overlap."""
    frames = len(take.tip)
    thick, wide, long = (0.03, 0.25, 4.8) if board.give else (0.12, 1.0, 6.0)
    top = -build.foot_radius - thick
    up, ahead = np.zeros((frames, 3)), np.zeros((frames, 3))
    up[:, 1], ahead[:, 2] = 1, 1
    end = up * (take.tip + top)[:, None]
    start = up * (board.height + top) - long * ahead
    foot = -0.8 * long * ahead
    found = [
        body.thing(start, end, up, wide, thick, flat=True),
        body.thing(foot, foot + up * (board.height + top - thick), ahead, 0.5, 0.5, flat=True),
    ]
    return [replace(solid, bias=np.full(1, -4.0, np.float32)) for solid in found]


def _splash(take: Take, rng: np.random.Generator) -> list[body.Solids]:
    """Drops that fly up where the diver has entered, in the dive frame."""
    seconds = (np.arange(len(take.mass)) - take.entry)[:, None] / take.rate
    place = take.mass[take.entry] * (1, 0, 1)
    found = []
    for _ in range(_DROPS):
        speed = np.array((rng.normal(0, 0.7), rng.uniform(1.5, 5.0), rng.normal(0, 0.7)))
        since = seconds - rng.uniform(0, 0.1)
        path = place + rng.normal(0, 0.08, 3) * (1, 0, 1) + speed * since - GRAVITY / 2 * since**2 * (0, 1, 0)
        radius = rng.uniform(0.02, 0.09)
        streak = 0.02 * (speed - GRAVITY * since * (0, 1, 0))
        front = np.broadcast_to((0.3, 0.2, 0.93), path.shape)
        present = (since[:, 0] > 0) & (path[:, 1] > 0)
        found.append(body.thing(path - streak, path + streak, front, radius, radius, present=present))
    return found


def _camera(venue: Venue, mass: Array, size: int, rng: np.random.Generator) -> Camera:
    """A camera on its station that follows the centre of mass, a little late and not quite steadily."""
    frames = len(mass)
    reach = int(rng.integers(1, 4))
    ends = (reach + venue.lag, max(reach - venue.lag, 0))
    padded = np.concatenate([np.repeat(mass[:1], ends[0], 0), mass, np.repeat(mass[-1:], ends[1], 0)])
    window = np.full(len(padded) - frames + 1, 1 / (len(padded) - frames + 1))
    aim = np.stack([np.convolve(axis, window, "valid") for axis in padded.T], -1)
    aim[:, 1] = np.maximum(aim[:, 1], _LOWEST)
    position = np.array((0, venue.height, 0), np.float32)
    focal = venue.share * size * venue.distance / _USUAL_HEIGHT
    away = aim - position
    wander = [venue.shake * size / focal * sway(rng, frames, 0.3, 4.0) for _ in "xy"]
    offset = rng.normal(0, 0.03, 2) * size / focal
    yaw = np.arctan2(away[:, 0], -away[:, 2]) + wander[0] + offset[0]
    pitch = np.arctan2(away[:, 1], np.hypot(away[:, 0], away[:, 2])) + wander[1] + offset[1]
    return Camera(
        rotation=rotations(yaw, pitch, np.full(frames, rng.normal(0, 0.02))),
        position=np.tile(position, (frames, 1)),
        focal=(focal * (1 + 0.03 * sway(rng, frames, 0.1, 0.5))).astype(np.float32),
        size=size,
    )
