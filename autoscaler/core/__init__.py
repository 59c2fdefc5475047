"""What should happen and why: pure functions from values to values."""
