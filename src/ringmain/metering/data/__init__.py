"""Data that ships with the package: one real household's meter readings, and tariffs ready to use.

Where the readings come from and under which licences stands in `README.md` beside them, and must go wherever they go.
"""

from importlib.resources import files
from importlib.resources.abc import Traversable

TARIFFS = ("lcl-flat", "lcl-time-of-use")
"""Tariffs of the Low Carbon London trial, by the name of their file."""


def sample_household() -> Traversable:
    """`start,value` of one London household, kWh per half hour, October 2012 to January 2014 (gzip)."""
    return files(__name__) / "lcl-household-30min.csv.gz"


def tariff_file(name: str) -> Traversable:
    """The TOML file of one of `TARIFFS`."""
    return files(__name__) / f"{name}.toml"
