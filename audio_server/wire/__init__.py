"""Generated from `comms.proto` by `nox -s protos`; the contract with devices."""
