"""A run's scores as one HTML page."""
