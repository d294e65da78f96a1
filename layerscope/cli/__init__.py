"""The parts of the command `layerscope` that need no server.

Slow imports are in the functions that need them, to keep `--help` fast.
"""
