"""Motion programmes: what an action is made of. `motions.perform` plays them.

Each takes a stage and draws tempo, sizes, posture, style and hesitation from its generator. All are right-handed as
written: half of all takes are mirrored. Numbers are radians, leg lengths (pelvis, feet) and arm lengths (hands), see
`tracks`.
"""

from __future__ import annotations

from collections.abc import Callable

from dimofs.datasets.synthetic.plan import Plan
from dimofs.datasets.synthetic.programmes import balls, bending, going, hands, sticks, whole_body
from dimofs.datasets.synthetic.tracks import Stage

Programme = Callable[[Stage], Plan]

#: Programmes of JHMDB's classes; those of `catch` and `stand` are made to be played backwards.
ACTIONS: dict[str, Programme] = {
    "brush_hair": hands.brush_hair,
    "catch": balls.catch,
    "clap": hands.clap,
    "climb_stairs": going.climb_stairs,
    "golf": sticks.golf,
    "jump": going.jump,
    "kick_ball": balls.kick_ball,
    "pick": bending.pick,
    "pour": hands.pour,
    "pullup": sticks.pullup,
    "push": hands.push,
    "run": going.run,
    "shoot_ball": balls.shoot_ball,
    "shoot_bow": sticks.shoot_bow,
    "shoot_gun": sticks.shoot_gun,
    "sit": bending.sit,
    "stand": bending.sit,
    "swing_baseball": sticks.swing_baseball,
    "throw": balls.throw,
    "walk": going.walk,
    "wave": hands.wave,
}

#: Programmes of free motions that are no class of JHMDB.
FREE: dict[str, Programme] = {
    "wander": going.wander,
    "march": going.march,
    "dance": whole_body.dance,
    "stretch": bending.stretch,
    "jumping_jack": whole_body.jumping_jack,
    "squat": bending.squat,
    "boxing": whole_body.boxing,
    "tennis_swing": sticks.tennis_swing,
    "kick": balls.kick,
    "side_bend": bending.side_bend,
    "talk": hands.talk,
    "idle": whole_body.idle,
    "lunge": bending.lunge,
}
