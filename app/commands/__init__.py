"""The commands of `layerscope` that need the service on this machine."""
