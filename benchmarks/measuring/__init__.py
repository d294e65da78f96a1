"""Timing, memory, hardware, and the interference of other programs."""
