"""Bytes in and out of a connection, and turns of the loop."""
