"""Metrics, and their text for Prometheus.

`families` declares them, `metrics` counts, `shared_registry` is the memory of the numbers of one
process or of many, and `text` writes them down.
"""
