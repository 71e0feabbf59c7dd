"""What is searched: bounds for a learning rate, and tasks with a model and its data.

- `LearningRateBounds`: an interval that knows how it was found.
- `TuningTask`: a model builder with its training, validation and test data.
- `wine_task`: the wine-quality task, which loads pandas and scikit-learn when it is first used.
"""

from typing import TYPE_CHECKING, Any

from search_spaces.learning_rate import LearningRateBounds
from search_spaces.task import TuningTask

if TYPE_CHECKING:  # for editors and type checkers, which do not run __getattr__
    from search_spaces.wine import wine_task

__all__ = ["LearningRateBounds", "TuningTask", "wine_task"]


def __getattr__(name: str) -> Any:
    if name == "wine_task":
        from search_spaces.wine import wine_task

        return wine_task
    raise AttributeError(f"module 'search_spaces' has no attribute {name!r}")
