"""Protocol translator: payloads become columns, once, one file a format."""
