"""Streaming Audio Server: LEDs, buttons and Opus sound of small devices, over gRPC on trio."""
