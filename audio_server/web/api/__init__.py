"""The HTTP API: for machines, and for the pages, which use nothing else.

`models` is what is said either way, `devices` and `clips` are what can be asked for, each with
a description of itself (`operation`). From these descriptions come both the routes (`resource`)
and the OpenAPI document (`openapi`), so that neither can say what the other does not.
"""
