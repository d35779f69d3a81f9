"""Ringmain: a machine-to-machine platform in one package.

The plan of the house is `docs/architecture.md`; imports only go down its floors.
"""

__version__ = "0.1.0"
