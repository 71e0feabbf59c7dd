"""The policies that the replay compares: ours as it is, and those of the field."""
