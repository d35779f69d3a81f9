"""The platform as one process: its composition, its doors, its identity and its HTTP API."""
