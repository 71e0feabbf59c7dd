"""Losses by rate, and what is read from them. NumPy and SciPy only: no TensorFlow."""
