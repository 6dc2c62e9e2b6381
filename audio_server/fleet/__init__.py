"""What is seen of the devices, and what an operator does to them.

`interface` is what the rest of the server needs: one `Fleet`, wherever the devices live. `local` is
the one for devices of this process: it looks at them (`glance`, `look`), tells whoever watches what
has changed (`feed`), and does to them what is asked (`actions`). `names` is what people call them.
"""
