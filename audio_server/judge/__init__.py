"""A judge of devices: it asks one thing after the other and watches the answers.

`trial` runs the steps on the calls of a device, which a `Seat` holds; `findings` keeps the verdict
on each of the `duties` of the protocol, and `report` writes them. A seat gets its calls in one of
two ways: from `service`, a small server in the place of the real one, while firmware is built; or
from a running server, of which `bench` borrows a device and gives it back.
"""
