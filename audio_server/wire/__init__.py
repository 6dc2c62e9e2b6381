"""The contract with devices: the messages that `nox -s protos` generates from `comms.proto`, the
bytes of sound and LEDs in them, and the id in a call's metadata."""
