"""The budgets of the benchmarks, in trainings of full length, range test counted."""

BUDGETS = (0, 1, 2, 4, 8, 12, 16, 24, 33)
DEFAULT = 12  # of `search` and the command
MOST = max(BUDGETS)
