"""Draws docs/simulator-h25.svg: the mean day of 1,024 made-up homes beside H25, by season and day type, in 2025.

Run it with the project's own environment and matplotlib (the extra `report`):
.venv/bin/python tests/vectors/h25/draw.py
"""

import csv
from datetime import date, timedelta
from pathlib import Path

import matplotlib as mpl
import numpy as np

from ringmain.simulator.household.block import HouseholdBlock
from ringmain.simulator.household.days import DAY_TYPES, MINUTES, Place

mpl.use("svg")
import matplotlib.pyplot as plt  # the backend is chosen first

HERE = Path(__file__).parent
SEASONS = {"winter": "Winter (1 Nov to 20 Mar)", "transition": "Transition", "summer": "Summer (15 May to 14 Sep)"}
OURS, THEIRS, TEXT = "#1f6f8b", "#d97706", "#444444"


def season(day):
    at = (day.month, day.day)
    if at >= (11, 1) or at <= (3, 20):
        return "winter"
    return "summer" if (5, 15) <= at <= (9, 14) else "transition"


with (HERE / "shapes.csv").open(newline="", encoding="ascii") as file:
    h25 = {(int(row[0]), row[1]): np.array(row[2:], dtype=float) for row in list(csv.reader(file))[1:]}

blocks = [HouseholdBlock(1, number, Place()) for number in range(4)]
ours, theirs = {}, {}
for index in range(365):
    day = date(2025, 1, 1) + timedelta(days=index)
    nets = [block.net_w((day - date(1970, 1, 1)).days) for block in blocks]
    if nets[0].shape[1] != MINUTES:
        continue
    kind = season(day), DAY_TYPES[max(0, day.weekday() - 4)]
    mean = np.mean([net.mean(axis=0) for net in nets], axis=0).reshape(48, 30).mean(axis=1)
    ours.setdefault(kind, []).append(np.roll(mean, 6))
    theirs.setdefault(kind, []).append(h25[day.month, kind[1]])
level = np.mean([shape for shapes in ours.values() for shape in shapes])

plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "ringmain", "font.family": "sans-serif", "font.size": 9})
figure, axes = plt.subplots(3, 3, figsize=(9, 6.4), sharex=True, sharey=True, layout="constrained")
hours = np.arange(48) / 2 + 0.25
for row, (name, title) in enumerate(SEASONS.items()):
    for column, kind in enumerate(DAY_TYPES):
        axis = axes[row, column]
        our, their = np.mean(ours[name, kind], axis=0) / level, np.mean(theirs[name, kind], axis=0)
        axis.plot(hours, their, color=THEIRS, lw=1.6, label="BDEW H25")
        axis.plot(hours, our, color=OURS, lw=1.6, label="1,024 simulated homes")
        axis.text(0.03, 0.9, f"r = {np.corrcoef(our, their)[0, 1]:.3f}", transform=axis.transAxes, color=TEXT)
        axis.set(xlim=(0, 24), ylim=(0, 2.2), xticks=range(0, 25, 6))
        axis.grid(color="#dddddd", lw=0.6)
        axis.spines[["top", "right"]].set_visible(False)
        if row == 0:
            axis.set_title(kind.capitalize(), color=TEXT)
        if column == 0:
            axis.set_ylabel(title, color=TEXT)
figure.supxlabel("hour of the day (local time)", color=TEXT)
figure.supylabel("power, year's mean = 1", color=TEXT)
handles, labels = axes[0, 0].get_legend_handles_labels()
figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
target = HERE.parents[2] / "docs" / "simulator-h25.svg"
figure.savefig(target, metadata={"Date": None, "Creator": None})
text = target.read_text(encoding="utf-8")
target.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n", encoding="utf-8")
