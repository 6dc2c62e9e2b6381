"""Clips: sound files made into ready-to-send Opus, once."""
