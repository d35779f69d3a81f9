"""The demo: platform, edge and a street of homes as processes, and a view in which one can break them and watch."""
