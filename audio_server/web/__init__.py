"""The web UI and the HTTP API: a device in the browser, and the fleet.

Hypercorn and Starlette serve it on the server's own trio loop, in a nursery of its own: a fault
here is logged and ends the pages alone, never a device.
"""
