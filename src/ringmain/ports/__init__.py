"""Ports: what the rooms need of the world, as `typing.Protocol`s; their homes are under `adapters/`."""
