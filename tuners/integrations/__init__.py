"""Bounds and populations for tuner code that is already there."""
