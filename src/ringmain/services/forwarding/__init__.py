"""Forwarding: store and forward. What an edge has made durable goes up, live first, and leaves the buffer only when
the platform has answered for it.
"""
