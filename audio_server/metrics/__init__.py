"""What the server counts, and how Prometheus gets to see it.

`families` says what there is, `metrics` is told of it as it happens, `board` is the memory where
the numbers are, of one process or of many, and `text` writes them down.
"""
