"""The budgets of the benchmarks, in trainings of full length, range test counted."""

BUDGETS = (0, 1, 2, 4, 8, 11, 16, 24, 33)
MOST = max(BUDGETS)
