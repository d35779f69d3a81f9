"""Makes shapes.csv: the BDEW profile H25 by month and day type, in half hours, relative to the year's mean power.

Needs demandlib 0.2.2 and pandas below 3, which no other part of the project uses: run it in an environment of its own.

    python -m venv h25 && h25/bin/pip install demandlib==0.2.2 'pandas<3' && h25/bin/python make.py
"""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
from demandlib import bdew

YEAR = 2025
DAY_TYPES = {"weekday": (0, 1, 2, 3, 4), "saturday": (5,), "sunday": (6,)}

stamps = pd.date_range(f"{YEAR}-01-01", f"{YEAR + 1}-01-01", freq="15min", inclusive="left")
power = pd.Series(np.asarray(bdew.H25(stamps)).ravel(), index=stamps)
power /= power.mean()
half_hour = stamps.hour * 2 + stamps.minute // 30

with (Path(__file__).parent / "shapes.csv").open("w", newline="", encoding="ascii") as file:
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["month", "day_type", *(f"{slot // 2:02}:{slot % 2 * 30:02}" for slot in range(48))])
    for month in range(1, 13):
        for name, days in DAY_TYPES.items():
            chosen = (stamps.month == month) & stamps.dayofweek.isin(days)
            shape = power[chosen].groupby(half_hour[chosen]).mean()
            rows.writerow([month, name, *(f"{value:.4f}" for value in shape)])
