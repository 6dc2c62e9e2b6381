"""A running server, asked over its HTTP API: which devices there are, and what they shall do.

The commands in `cli/` are thin around it. Nothing of the server itself is imported here.
"""
