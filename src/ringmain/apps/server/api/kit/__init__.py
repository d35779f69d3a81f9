"""The route kit: a route is declared once, and is bound, guarded, served and documented from that declaration.

It knows HTTP, msgspec and OpenAPI, and nothing of devices, meters or bills.
"""
