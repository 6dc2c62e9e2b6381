"""What outlives the server: the mode of every device, in one SQLite file.

`file` is the file and blocks; `modes` keeps it off the loop and is what devices see.
"""
