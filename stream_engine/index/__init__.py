"""Nearest neighbours by vector: one protocol, three implementations."""
