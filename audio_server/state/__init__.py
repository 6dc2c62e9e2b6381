"""The durable state: the mode and the name of every device, in one SQLite file.

`file` is the file, and blocks; `keeper` opens and replaces it off the loop, `generations` guards
its log; `modes` is the store that devices and operators use. `record` is one batch."""
