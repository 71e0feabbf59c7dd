"""What the command `run_search.py` is made of: options, tasks, the job, the article, progress.

- `options`: what the user asked for, checked.
- `task_loading`: the wine task, or the user's own by MODULE:FUNCTION.
- `run_folder`, `settings`: where a run is kept, and whether it may be gone on with.
- `job`: range test, search, comparison and report, leaving out what is done.
- `plan`: what a job would do and how long it would take.
- `article`: the published experiment as it was.
- `stored`: a report or a dashboard of a study that is stored.
- `screen`, `errors`: what is printed, and with which code the command ends.

Nothing here loads TensorFlow, pandas or Optuna when it is imported.
"""
