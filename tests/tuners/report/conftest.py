"""Makes `report_studies`, the studies that these tests share, importable."""

from __future__ import annotations

import sys
from pathlib import Path

import optuna

sys.path.insert(0, str(Path(__file__).parent))
optuna.logging.set_verbosity(optuna.logging.WARNING)
