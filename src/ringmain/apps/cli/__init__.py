"""The command line: `main` is the entry point; each command is imported only when it is called."""
