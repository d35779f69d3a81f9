"""Gateways: whom each speaks for, what is sent down to it, and what it last said of itself."""
