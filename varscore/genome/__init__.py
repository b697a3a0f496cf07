"""Variants, references, windows: everything before the network, without torch."""
