"""How fast, in how much memory and how accurate each way of scoring is, side by side on one machine."""
