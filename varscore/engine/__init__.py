"""From windows to scores: planning, devices, statistics."""
