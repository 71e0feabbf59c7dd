"""What the command `run_search.py` is made of.

- `options`: what the user asked for, declared once; `option_checks`: what they must hold.
- `tasks`: the wine task, or the user's own by MODULE:FUNCTION.
- `pipeline`: the steps of a job; each leaves out what is done already.
- `run_folder`: where a run is kept.
- `dry_run`: what a job would do and how long it would take; `timing`: from which programs.
- `article`: the published experiment as it was.
- `stored`: a report or a dashboard of a study that is stored.
- `console`, `errors`: what is printed, and with which code the command ends.
"""

import time

STARTED = time.perf_counter()  # about when the command began, for the time that loading takes
