"""Score tables in the formats of other programs."""
