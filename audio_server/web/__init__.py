"""What the server shows in a browser: a device to use, and the fleet.

Hypercorn and Starlette serve it on the server's own trio loop, in a nursery of its own: whatever
goes wrong here is logged and ends the pages alone, never a device.
"""
