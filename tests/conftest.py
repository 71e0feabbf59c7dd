"""What holds for every test; see README.md here."""

from __future__ import annotations

import os

# before Matplotlib or TensorFlow are imported anywhere
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from hypothesis import settings

# a slow machine must not fail a property by its clock
settings.register_profile("suite", deadline=None, max_examples=50, print_blob=True)
settings.load_profile("suite")
