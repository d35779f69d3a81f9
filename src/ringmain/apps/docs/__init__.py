"""Documentation that is generated from the code it describes: `python -m ringmain.apps.docs` writes it into the
checkout, and a test compares. Nothing of the running platform imports this room.
"""
