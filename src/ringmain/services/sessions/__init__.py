"""Sessions: whether a device is there, one answer over all protocols."""
