"""`layerscope doctor`: checks this machine, and names a remedy for each problem."""
