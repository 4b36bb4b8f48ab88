"""Draws the charts of compare and scaling, readable on light and dark pages.

    charts.py CHART.json OUT.svg

CHART.json has {"bars": [{"label", "advantage", "wanted", "met", "limit"}, …]}, or
{"panels": [{"title", "x", "y", "log", "lines": {name: [[x, y], …]}}, …]}.
"""
import json
import os
import sys

import matplotlib
from matplotlib import pyplot

INK = "#7d8590"  # has contrast with white and with near black
GRID = "#7d859040"
GOOD, BAD = "#2f9e77", "#d9822b"
LINES = ["#2f9e77", "#d9822b", "#6c8ebf", "#b85c8e"]

matplotlib.rcParams.update({
    "font.family": "sans-serif", "font.size": 9, "text.color": INK, "axes.labelcolor": INK,
    "axes.edgecolor": GRID, "xtick.color": INK, "ytick.color": INK, "grid.color": GRID,
    "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "yiti",
    "svg.fonttype": "none",
    "legend.frameon": False, "axes.prop_cycle": matplotlib.cycler(color=LINES)})


def draw_bars(bars):
    """How many times better yiti is than each peer, on a logarithmic scale; a tick marks the bar."""
    figure, axes = pyplot.subplots(figsize=(8, 0.36 * len(bars) + 1))
    for place, bar in enumerate(bars):
        better = bar["advantage"]
        axes.barh(place, better - 1, left=1, height=0.62, color=GOOD if bar["met"] else BAD)
        axes.plot([bar["wanted"]] * 2, [place - 0.4, place + 0.4], color=INK, linewidth=2)
        axes.text(max(better, bar["wanted"], 1) * 1.05, place,
                  f"{better:.1f}×{' (at the limit)' if bar['limit'] else ''}", va="center")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axes.set_yticks(range(len(bars)), [bar["label"] for bar in bars])
    axes.invert_yaxis()
    axes.axvline(1, color=INK, linewidth=1)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    low, high = axes.get_xlim()
    axes.set_xlim(low, high * 2)  # for the text beside the longest bar
    figure.supxlabel("times faster than the peer, or less memory; mark: the bar; orange: not met",
                     fontsize=9)
    return figure


def draw_panels(panels):
    columns = len(panels) // 2  # costs above, memory below
    figure, grid = pyplot.subplots(2, columns, figsize=(2.8 * columns, 5), squeeze=False)
    for axes, panel in zip(grid.flat, panels):
        for name, points in panel["lines"].items():
            axes.plot(*zip(*points), marker="o", markersize=3, label=name)
        axes.set_title(panel["title"], fontsize=9)
        axes.set_xlabel(panel["x"])
        axes.set_ylabel(panel["y"])
        if panel["log"]:
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_ylim(bottom=0)
        axes.grid()
        if len(panel["lines"]) > 1:
            axes.legend()
    return figure


def main():
    source, target = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        chart = json.load(file)
    figure = draw_bars(chart["bars"]) if "bars" in chart else draw_panels(chart["panels"])
    figure.tight_layout()
    os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
    figure.savefig(target, transparent=True, metadata={"Date": None})


if __name__ == "__main__":
    main()
