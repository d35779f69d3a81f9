"""Bulk: many readings of many devices in one compressed, columnar chunk."""
