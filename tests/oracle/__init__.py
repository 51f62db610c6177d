"""Oracles: what heapsee says held against what others say of the same heap."""
