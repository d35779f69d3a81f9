"""Publish and subscribe: what outlives a connection, and who gets which message."""
