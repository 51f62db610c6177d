"""Heaps whose numbers are known by construction."""
