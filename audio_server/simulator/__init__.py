"""A stock device in the terminal, and the oracle that judges the server by its messages.

Every event of a virtual device is a value (`events`). The oracle, the recorder, the speaker, the
screen and the report of a script observe the same values, so that the screen shows the events that
the oracle judges.
"""
