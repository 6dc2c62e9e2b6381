"""The durable state: the mode of every device and the inventory, in one SQLite file.

`file` is the file, and blocks; `keeper` opens and replaces it off the loop, `generations` guards
its log; `modes` and `inventory` are the stores that devices and operators use. `record` is one
batch."""
