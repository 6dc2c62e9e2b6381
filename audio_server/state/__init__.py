"""What outlives the server: the mode and the name of every device, in one SQLite file.

`file` is the file and blocks; `modes` keeps it off the loop and is what devices see, and
`names` what people see. `notes` are what goes to and fro.
"""
