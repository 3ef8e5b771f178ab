"""The chart of rates, and of the client's CPU, by workload."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.contenders import CEILINGS
from benchmarks.report import Machine
from benchmarks.summary import Summary

_WIDTH, _HEIGHT = 11.0, 7.5
_BARS = 0.84
"""The share of a workload's width that its bars take."""
_GREYS = ("0.82", "0.68")
"""The colours of the ceilings."""


def plot(path: Path, about: Machine, summaries: Sequence[Summary]) -> None:
    """Write an SVG. The same figures give the same file, byte for byte."""
    mpl.rcParams["svg.hashsalt"] = "reelsync"
    figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    _bars(above, summaries, lambda summary: summary.rate, lambda summary: (summary.slowest, summary.fastest))
    above.set_ylabel("events/s, logarithmic\n(median and range)")
    above.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize="small", frameon=False)
    _bars(below, summaries, lambda summary: summary.client_cpu)
    below.set_ylabel("client's CPU seconds for\na million events, logarithmic")
    figure.supxlabel(
        f"{about.processor}, {about.cores} cores shared by all · {about.broker} · {about.postgres}", size=8
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})


def _bars(
    axes: Axes,
    summaries: Sequence[Summary],
    value: Callable[[Summary], float],
    span: Callable[[Summary], tuple[float, float]] | None = None,
) -> None:
    workloads = list(dict.fromkeys(summary.workload for summary in summaries))
    titles = list(dict.fromkeys(summary.title for summary in summaries))
    colours = _colours(summaries)
    width = _BARS / len(titles)
    for number, title in enumerate(titles):
        own = [summary for summary in summaries if summary.title == title]
        places = [workloads.index(summary.workload) + (number + 0.5) * width - _BARS / 2 for summary in own]
        heights = [value(summary) for summary in own]
        bars = axes.bar(places, heights, width, label=title, color=colours[title])
        axes.bar_label(bars, [_short(height) for height in heights], padding=3, size=6.5)
        if span:
            low, high = zip(*(span(summary) for summary in own), strict=True)
            below = [height - least for height, least in zip(heights, low, strict=True)]
            above = [most - height for height, most in zip(heights, high, strict=True)]
            axes.errorbar(places, heights, [below, above], fmt="none", ecolor="0.2", elinewidth=1)
    axes.set_yscale("log")
    axes.set_xticks(range(len(workloads)), workloads)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _colours(summaries: Sequence[Summary]) -> dict[str, str]:
    ceilings = dict.fromkeys(summary.title for summary in summaries if summary.contender in CEILINGS)
    others = dict.fromkeys(summary.title for summary in summaries if summary.title not in ceilings)
    greys = {title: _GREYS[number % len(_GREYS)] for number, title in enumerate(ceilings)}
    return greys | {title: f"C{number}" for number, title in enumerate(others)}


def _short(value: float) -> str:
    """Two or three digits: 1.2M, 96k, 9.3."""
    unit, name = next((one for one in ((1_000_000, "M"), (1_000, "k")) if value >= one[0]), (1, ""))
    scaled = value / unit
    return f"{scaled:.{1 if scaled < 10 else 0}f}{name}"
