"""The table as a picture."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from benchmarks.rows import Line, figure

REACHED, MISSED, TARGET, SPREAD = "#2f855a", "#c05621", "#1a202c", "#4a5568"
INCHES, DOTS_PER_INCH = (11.0, 0.5), 110  # width, and height of a row


def draw(found: Sequence[Line], title: str, path: Path) -> None:
    """A bar for each row: how many times as good as the peer; a mark where it should be."""
    figure_, axes = plt.subplots(figsize=(INCHES[0], 1.6 + INCHES[1] * len(found)))
    places = range(len(found))
    colours = [REACHED if line.is_reached else MISSED for line in found]
    axes.barh(places, [line.gain for line in found], color=colours, height=0.6)
    for place, line in zip(places, found, strict=True):
        _annotate(axes, place, line)
    axes.axvline(1, color=SPREAD, linewidth=0.8, linestyle=":")
    axes.set_yticks(places, [line.row.title for line in found])
    axes.invert_yaxis()
    axes.set_xlim(0, max(max(line.gain, line.row.ratio) for line in found) * 1.35)
    axes.set_xlabel("times as good as the peer (1: level); the mark is what is to be reached")
    axes.set_title(title, fontsize=10, loc="left")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure_.tight_layout()
    figure_.savefig(path, dpi=DOTS_PER_INCH)
    plt.close(figure_)


def _annotate(axes: plt.Axes, place: int, line: Line) -> None:
    """The mark, the quartiles, and the figures behind the bar."""
    axes.plot([line.row.ratio] * 2, [place - 0.4, place + 0.4], color=TARGET, linewidth=2)
    if line.spread:
        axes.plot(line.spread, [place] * 2, color=SPREAD, linewidth=1.5)
    far = max(line.gain, line.row.ratio, *(line.spread or (0,)))
    unit = line.row.unit
    text = f"  {line.gain:.2f}   {figure(line.ours, unit)} : {figure(line.peer, unit)}"
    axes.text(far, place, text, va="center", fontsize=8)
