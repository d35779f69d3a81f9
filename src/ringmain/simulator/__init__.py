"""Devices that do not exist: they speak real protocols over real sockets, and a seed decides everything they do."""
