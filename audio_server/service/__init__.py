"""The three calls of a device, between `rpc` and `device`."""
