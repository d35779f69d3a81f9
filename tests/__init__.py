"""A package, so that the `tests` which gmqtt installs beside itself is not found in its place."""
