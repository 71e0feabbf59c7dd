"""What is searched: bounds for a learning rate, and tasks with a model and its data.

- `LearningRateBounds`: an interval that knows how it was found.
- `TuningTask`: a model builder with its training, validation and test data.
- `wine_task`: the wine-quality task.
"""

from search_spaces.learning_rate import LearningRateBounds
from search_spaces.task import TuningTask
from search_spaces.wine import wine_task

__all__ = ["LearningRateBounds", "TuningTask", "wine_task"]
