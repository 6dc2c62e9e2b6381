"""HTTP/2 without I/O: frames, connection state, and the limits on a peer's behaviour."""
