"""From a study's trials to one rate, and the plateau around it."""
