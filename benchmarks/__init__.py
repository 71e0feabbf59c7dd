"""The ratios that the project claims, each measured by one command."""
