"""Adapters: homes of the ports. `embedded` needs no service beside it; `simulated` holds everything in memory."""
