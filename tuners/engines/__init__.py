"""Who proposes the trials of a search: Optuna or KerasTuner, both recorded in one study."""
