"""A judge of devices: a small server that asks one thing after the other and watches the answers.

`trial` runs the steps on the calls that `service` has taken, which a `Seat` holds for each device;
`findings` keeps the verdict on each of the `duties` of the protocol, and `report` writes them.
It serves no clips and keeps nothing: it stands in the place of a server while firmware is built.
"""
