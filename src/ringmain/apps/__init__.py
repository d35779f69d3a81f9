"""Apps: the only place where rooms are wired: configuration, observation, the server, the lab, the command line."""
