"""gRPC on trio: a server and a client half over any trio stream, no asyncio loop anywhere.

From the wire up: `frames` cuts bytes, `http2` keeps the protocol, `messages`, `receiver` and
`stream` make calls of it, `connection` runs it, `server` and `client` are its two ends. Only here
may grpclib's internals or h2 be imported.
"""
