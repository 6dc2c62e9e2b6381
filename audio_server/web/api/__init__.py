"""The HTTP API: for programs, and for the pages, which use nothing else.

`models` are the bodies of requests and answers, `devices` and `clips` are the operations, each with
a description of itself (`operation`). The routes (`resource`) and the OpenAPI document (`openapi`)
both come from these descriptions, so that they always agree.
"""
