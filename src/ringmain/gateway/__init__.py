"""The bridge between the wire and the meaning: authenticate, route, translate, make durable, acknowledge.

`pipeline.py` is the recipe; the other files are its steps and the doors through which devices come.
"""
