"""Drawings of a load for people, from the platform's own answers. matplotlib is imported only when one is drawn."""
