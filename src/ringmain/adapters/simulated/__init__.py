"""The simulated home: every port in memory, for tests under virtual time; the same file names as `embedded`."""
