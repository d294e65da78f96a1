"""Clocks, memory, hardware and interference by other programs."""
