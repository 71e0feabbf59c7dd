"""The range test: on a task, on a model or a builder, or inside one's own `model.fit`."""
