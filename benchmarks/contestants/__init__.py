"""The implementations that are compared. Each runs in a process of its own."""
