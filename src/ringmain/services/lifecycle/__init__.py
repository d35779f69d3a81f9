"""Lifecycle: makes devices, moves them from state to state, and gives and takes their tokens."""
