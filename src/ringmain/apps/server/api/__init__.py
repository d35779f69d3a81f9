"""The HTTP management API: routes declared once, served, documented and tested from the same declarations.

It calls services and ports through a `Context`; it never takes a tenant from a payload, and never answers with
anything but a declared struct or an RFC 9457 problem.
"""
