"""This process: its log and its standard files."""
