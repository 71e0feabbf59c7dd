"""The chosen rate against the baseline: pairs trained, judged, recorded."""
