"""Figures drawn by Matplotlib, from plain data alone; no window is opened."""
