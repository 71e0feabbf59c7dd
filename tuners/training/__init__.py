"""K (rate, seed) models trained together or one at a time, with the same numbers."""
