"""The routes by noun. Each module ends in a `ROUTES` tuple; nothing is registered at import."""
