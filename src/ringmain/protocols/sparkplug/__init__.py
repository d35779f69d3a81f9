"""Sparkplug B 3.0.0: payloads, topics, and what a host application knows of an edge node, as one table."""
