"""Transports: move bytes for any machine. They know sockets and TLS, and nothing of any protocol."""
