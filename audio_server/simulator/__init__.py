"""A stock device in the terminal, and the oracle that judges a server by what it sends.

Everything that happens to a virtual device is a value (`events`). The oracle, the recorder,
the speaker, the screen and the report of a script are observers of the same values, so what is
shown is what is judged.
"""
