"""The performances: every class of JHMDB and the free motions of the PoseTrack-like set, as random takes.

Where two classes are each other's reverse in life they are so here: `stand` is a take of `sit` played backwards, and
`catch` is played backwards from the programme of `throw`, with its own shares of the styles. Props are where the
action needs one, are sometimes out of sight, and are shared by the classes that could be confused: balls by throw,
catch, shoot_ball, kick_ball and pick; sticks of overlapping lengths by golf, swing_baseball, shoot_gun, shoot_bow,
brush_hair, pour, push, wave and pullup. Who has a free hand may carry something, and any take may have a stray thing
in it. Stairs are not shown: they alone would name the class.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dimofs.datasets.synthetic.plan import Prop, mirrored, solve
from dimofs.datasets.synthetic.programmes import ACTIONS, FREE
from dimofs.datasets.synthetic.props import stray_props
from dimofs.datasets.synthetic.skeleton import Array32, Build
from dimofs.datasets.synthetic.tracks import Stage

__all__ = ["FREE_MOTIONS", "Performance", "Prop", "perform"]

_PROGRAMMES = ACTIONS | FREE
_BACKWARDS = ("catch", "stand")
_FLIP = np.array([-1.0, 1.0, 1.0], np.float32)

#: Motions of the PoseTrack-like set; those that are classes of JHMDB, too, are the same programmes.
FREE_MOTIONS: tuple[str, ...] = (
    *FREE, "walk", "run", "wave", "clap", "jump", "throw", "catch", "sit", "stand", "pick", "push",
)  # fmt: skip


@dataclass(frozen=True)
class Performance:
    """One take of one person."""

    positions: Array32  #: (T, 21, 3) in the order of `skeleton.JOINTS`, metres
    props: tuple[Prop, ...]


def perform(action: str, frames: int, build: Build, rng: np.random.Generator) -> Performance:
    """A random take of an action that fills the clip.

    Args:
        action: a class of JHMDB or one of `FREE_MOTIONS`.
        frames: T, at 30 a second.
        build: who performs.
        rng: every random draw comes from here, so equal generators give equal takes.

    Returns:
        Positions and props in metres; the person starts near the origin, faces +z and stands on y = 0.

    Raises:
        ValueError: for an action without a programme.
    """
    if action not in _PROGRAMMES:
        raise ValueError(f"no motion programme for {action!r}; there are {', '.join(sorted(_PROGRAMMES))}")
    stage = Stage(frames, build, rng)
    plan = _PROGRAMMES[action](stage)
    positions = solve(stage, plan)
    props = plan.props(positions)
    if action in _BACKWARDS:
        positions, props = positions[::-1].copy(), tuple(_timed(prop, slice(None, None, -1)) for prop in props)
    props += stray_props(stage, positions)
    if stage.chance(0.5):
        positions = mirrored(positions)
        props = tuple(replace(prop, start=prop.start * _FLIP, end=prop.end * _FLIP) for prop in props)
    return Performance(positions, props)


def _timed(prop: Prop, frames: slice) -> Prop:
    """A prop at other frames."""
    return replace(
        prop, start=prop.start[frames].copy(), end=prop.end[frames].copy(), present=prop.present[frames].copy()
    )
