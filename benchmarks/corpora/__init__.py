"""`layerscope corpus`: its rate and its memory."""
