"""What an Optuna study carries, where it is stored, and how processes share its work."""
