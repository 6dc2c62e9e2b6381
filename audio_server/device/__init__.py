"""Devices: their rules, their LEDs, their sound, and the tasks that keep them."""
