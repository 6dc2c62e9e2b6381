"""What is seen of the devices, and what an operator does to them.

`interface` is what the rest of the server needs: one `Fleet`, wherever the devices live. `names` is
what people call them.

Devices of one process: it looks at them (`glance`, `look`), keeps a record of what happens
(`timeline`, `words`), and does to them what is asked (`actions`). `local` is all that as a `Fleet`;
`feed` and `followers` tell whoever watches and follows.

Devices of many: `spread` is the `Fleet`, in the supervisor. It asks each worker (`members`,
`member`) over a `line`, at whose other end is the worker's `station`, and puts together what they
tell (`merge`).
"""
