"""A client of a running server's HTTP API: lists of devices, and actions on them.

The commands in `cli/` are thin around it. Nothing of the server itself is imported here.
"""
