"""Figure 3: the motion in DiMoFs beside optical flow, one pair of frames a row."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dimofs.flow import colour_wheel, colours
from dimofs.motion.examples import Example
from dimofs.paper.figures import GREY, STYLE

#: How `motion.show` chooses the rows.
RULE = (
    "Rows: videos at evenly spread ranks of how much moves (mean length of Farnebäck's flow), the fastest first; of "
    "each the pair whose Frame A is nearest to its middle. The channels of the finest scale were drawn at random."
)

_WIDTH = 7.2  # inches, a text's width
_MARGIN, _GAP = 0.02, 0.045  # inches beside the pictures and between them
_HEAD, _FOOT = 0.4, 0.82  # inches above and below the pictures
_HEAT = "inferno"


@style.context(STYLE)
def figure3(examples: Sequence[Example], dataset: str, rule: str) -> Figure:
    """Draw examples: both frames, two channels, summed magnitude, Farneback's flow.

    Where every example knows them, human motion as predicted by the read-out and as it is exactly close the row. All
    displacements share one scale of colours, whose full saturation is the 95th percentile of the predicted lengths, or
    of Farneback's; so do all magnitudes. dataset: what the frames are from; rule: how the rows were chosen.
    """
    closing = {
        "predicted\nhuman motion": [example.predicted for example in examples],
        "exact\nhuman motion": [example.exact for example in examples],
    }
    closing = {title: fields for title, fields in closing.items() if all(field is not None for field in fields)}
    scaled = [example.farneback if example.predicted is None else example.predicted for example in examples]
    largest = _rounded(np.quantile(np.concatenate([_lengths(field) for field in scaled]), 0.95))
    hottest = _rounded(np.quantile(np.concatenate([example.saliency.ravel() for example in examples]), 0.995))
    first, second = examples[0].channel
    titles = ["Frame A", "Frame B", f"channel {first}", f"channel {second}", "summed\nmagnitude", "Farnebäck\nflow"]
    titles += closing

    side = (_WIDTH - 2 * _MARGIN - _GAP * (len(titles) - 1)) / len(titles)
    heights = [side * example.frame_a.shape[0] / example.frame_a.shape[1] for example in examples]
    height = _HEAD + sum(heights) + _GAP * (len(examples) - 1) + _FOOT
    figure = Figure(figsize=(_WIDTH, height))

    def place(x: float, y: float, wide: float, high: float) -> Axes:
        """Make axes at inches from the top left corner."""
        axes = figure.add_axes((x / _WIDTH, 1 - (y + high) / height, wide / _WIDTH, high / height))
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return axes

    top = _HEAD
    for row, (example, high) in enumerate(zip(examples, heights, strict=True)):
        fields = [*example.channels, None, example.farneback, *(known[row] for known in closing.values())]
        pictures: list[NDArray[Any]] = [example.frame_a, example.frame_b]
        pictures += [example.saliency if field is None else colours(field, largest) for field in fields]
        for column, (title, picture) in enumerate(zip(titles, pictures, strict=True)):
            axes = place(_MARGIN + column * (side + _GAP), top, side, high)
            axes.imshow(picture, cmap=_HEAT, vmin=0, vmax=hottest, aspect="auto", interpolation="none")
            if top == _HEAD:
                for line, words in enumerate(reversed(title.split("\n"))):
                    up = 1 + (0.05 + 0.115 * line) / high
                    axes.text(0.5, up, words, transform=axes.transAxes, ha="center", fontsize=7.5)
            if column > 1:
                axes.spines[:].set(visible=True, linewidth=0.4, edgecolor="#cccccc")
        top += high + _GAP
    _draw_keys(place, top - _GAP + 0.12, largest, hottest)
    delta = examples[0].position_b - examples[0].position_a
    about = (
        f"B is {abs(delta)} frames {'after' if delta > 0 else 'before'} A; {dataset}. "
        "Colours are displacements from A to B: the hue is the direction, "
        f"full saturation {largest:g} pixels of the frame. {rule}"
    )
    figure.text(0.235, 0.045 / height, fill(about, 109), va="bottom", fontsize=6.8, color=GREY, linespacing=1.35)
    return figure


def _draw_keys(place: Any, top: float, largest: float, hottest: float) -> None:
    """Draw the colour wheel and the scale of magnitudes, from `top` inches down."""
    wheel = place(_MARGIN + 0.1, top, 0.52, 0.52)
    wheel.imshow(colour_wheel(256), interpolation="bilinear")
    wheel.text(0.5, -0.06, f"{largest:g} px", transform=wheel.transAxes, ha="center", va="top", fontsize=6.8)
    bar = place(_MARGIN + 0.85, top + 0.12, 0.62, 0.09)
    bar.imshow(np.linspace(0, 1, 256)[None], cmap=_HEAT, aspect="auto")
    for x, text, alignment in ((0, "0", "left"), (1, f"{hottest:g} px", "right")):
        bar.text(x, -0.35, text, transform=bar.transAxes, ha=alignment, va="top", fontsize=6.8)


def _lengths(field: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.hypot(field[..., 0], field[..., 1]).ravel()


def _rounded(value: float) -> float:
    """Round to two digits, so that the scale has a number that can be read; never to zero."""
    return float(f"{max(value, 1e-6):.2g}")
