"""Checks deploy/kubernetes: `make manifests` renders it, and compares it with schemas and policies."""
