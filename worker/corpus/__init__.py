"""Measures corpora on Ray Data: `layerscope corpus`. docs/corpora.md describes what it reads and writes."""
