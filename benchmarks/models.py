"""The hidden layers of the benchmarks' models: functions that make what makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Layers = Callable[[Any], list[Any]]  # from `keras.layers` to fresh layers, at each call


def dense(*units: int, activation: str = "relu", scale: float | None = None) -> Layers:
    """Return what makes dense layers of so many units.

    Args:
        units: Of each layer.
        activation: Of all.
        scale: Of the initial weights, as a multiple of Glorot's variance; None for Glorot's.
    """

    def make(layers: Any) -> list[Any]:
        import keras

        def start() -> Any:  # of each layer its own: one that is used twice draws the same values
            variance = 1.0 if scale is None else scale
            return keras.initializers.VarianceScaling(variance, "fan_avg", "uniform")

        return [layers.Dense(n, activation=activation, kernel_initializer=start()) for n in units]

    return make


def batch_norm(*units: int) -> Layers:
    """Return what makes dense layers, each with batch normalisation after it."""

    def make(layers: Any) -> list[Any]:
        # no bias before a normalisation: its gradient is rounding alone, whose sign Lion follows
        return [
            layer
            for n in units
            for layer in (
                layers.Dense(n, use_bias=False),
                layers.BatchNormalization(),
                layers.Activation("relu"),
            )
        ]

    return make


def layer_norm(*units: int) -> Layers:
    """Return what makes dense layers of GELU, each with layer normalisation before it."""

    def make(layers: Any) -> list[Any]:
        blocks = [(layers.LayerNormalization(), layers.Dense(n, activation="gelu")) for n in units]
        return [layer for block in blocks for layer in block]

    return make


def dropout(*units: int, rate: float) -> Layers:
    """Return what makes dense layers, each with dropout after it."""

    def make(layers: Any) -> list[Any]:
        blocks = [(layers.Dense(n, activation="relu"), layers.Dropout(rate)) for n in units]
        return [layer for block in blocks for layer in block]

    return make


def cnn(layers: Any) -> list[Any]:
    """Return a convolution over an image."""
    return [
        layers.Conv2D(4, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
    ]


def cnn_1d(layers: Any) -> list[Any]:
    """Return a convolution over a sequence."""
    return [layers.Conv1D(12, 3, activation="relu"), layers.Flatten()]


def signal_cnn(layers: Any) -> list[Any]:
    """Return two convolutions over a sequence of single numbers."""
    return [
        layers.Reshape((-1, 1)),
        layers.Conv1D(8, 5, strides=2, activation="relu"),
        layers.Conv1D(8, 3, strides=2, activation="relu"),
        layers.Flatten(),
    ]


def augmented_cnn(filters: int) -> Layers:
    """Return what makes flips and noise, two convolutions with batch norm, and a mean over all."""

    def make(layers: Any) -> list[Any]:
        return [
            layers.RandomFlip("horizontal"),
            layers.GaussianNoise(0.1),
            layers.Conv2D(filters, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Conv2D(2 * filters, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
        ]

    return make


def resnet(filters: int, blocks: int) -> Layers:
    """Return what makes a convolution and blocks of two with a skip connection and batch norm."""

    def make(layers: Any) -> list[Any]:
        class Residual(layers.Layer):
            """Two convolutions, added to what came in."""

            def __init__(self) -> None:
                super().__init__()
                self.parts = [
                    layers.BatchNormalization(),
                    layers.Activation("relu"),
                    layers.Conv2D(filters, 3, padding="same", use_bias=False),
                    layers.BatchNormalization(),
                    layers.Activation("relu"),
                    layers.Conv2D(filters, 3, padding="same", use_bias=False),
                ]

            def build(self, shape: Any) -> None:
                for part in self.parts:
                    part.build(shape)

            def call(self, x: Any, training: bool | None = None) -> Any:
                found = x
                for part in self.parts:
                    found = part(found, training=training) if "batch" in part.name else part(found)
                return x + found

        return [
            layers.Conv2D(filters, 3, padding="same", use_bias=False),
            *[Residual() for _ in range(blocks)],
            layers.GlobalAveragePooling2D(),
        ]

    return make


def recurrent(kind: str, units: int, *, letters: int = 0) -> Layers:
    """Return what makes a recurrent layer, after an embedding where the inputs are letters.

    Args:
        kind: "GRU" or "LSTM".
        units: Of it.
        letters: Different letters; 0 where the inputs are numbers.
    """

    def make(layers: Any) -> list[Any]:
        embedding = [layers.Embedding(letters, 12)] if letters else []
        return [*embedding, getattr(layers, kind)(units)]

    return make


def embedded_letters(letters: int, *units: int) -> Layers:
    """Return what makes an embedding of letters, laid side by side, and dense layers."""
    return lambda layers: [
        layers.Embedding(letters, 8),
        layers.Flatten(),
        *dense(*units)(layers),
    ]


def transformer(width: int, blocks: int, *, letters: int = 0) -> Layers:
    """Return what makes a small transformer, whose last place is read.

    Args:
        width: Of each place's vector.
        blocks: Of attention and two dense layers, normalised before each.
        letters: Different letters; 0 where the inputs are numbers.
    """

    def make(layers: Any) -> list[Any]:
        import keras

        class Places(layers.Layer):
            """Vectors of the inputs plus a learned vector of each place."""

            def __init__(self) -> None:
                super().__init__()
                self.embed = layers.Embedding(letters, width) if letters else layers.Dense(width)

            def build(self, shape: Any) -> None:
                self.embed.build(shape)
                self.place = self.add_weight(shape=(shape[1], width), initializer="uniform")

            def call(self, x: Any) -> Any:
                return self.embed(x) + self.place

        class Block(layers.Layer):
            """Self-attention and a dense part, each with a skip connection."""

            def __init__(self) -> None:
                super().__init__()
                self.norms = [layers.LayerNormalization(), layers.LayerNormalization()]
                self.attend = layers.MultiHeadAttention(2, width // 2)
                self.wide = layers.Dense(2 * width, activation="gelu")
                self.back = layers.Dense(width)

            def build(self, shape: Any) -> None:
                for part in (*self.norms, self.wide):
                    part.build(shape)
                self.attend.build(shape, shape)
                self.back.build((*shape[:-1], 2 * width))

            def call(self, x: Any) -> Any:
                normal = self.norms[0](x)
                x = x + self.attend(normal, normal)
                return x + self.back(self.wide(self.norms[1](x)))

        class Last(layers.Layer):
            """The vector of the last place, normalised."""

            def __init__(self) -> None:
                super().__init__()
                self.norm = layers.LayerNormalization()

            def build(self, shape: Any) -> None:
                self.norm.build((shape[0], shape[2]))

            def call(self, x: Any) -> Any:
                return self.norm(x[:, -1] if letters else keras.ops.mean(x, axis=1))

        return [Places(), *[Block() for _ in range(blocks)], Last()]

    return make


def embedded_categories(levels: Mapping[str, int], width: int, hidden: Layers) -> Layers:
    """Return what makes an embedding of each category in the last columns, and hidden layers.

    Args:
        levels: The categories and how many levels each has.
        width: Of each embedding.
        hidden: What comes after.
    """

    def make(layers: Any) -> list[Any]:
        import keras

        class Categories(layers.Layer):
            """The numbers, and the vectors of the categories beside them."""

            def __init__(self) -> None:
                super().__init__()
                self.tables = [layers.Embedding(count, width) for count in levels.values()]

            def build(self, shape: Any) -> None:
                for table in self.tables:
                    table.build((shape[0],))

            def call(self, x: Any) -> Any:
                first = x.shape[-1] - len(self.tables)
                codes = keras.ops.cast(x[:, first:], "int32")
                vectors = [table(codes[:, place]) for place, table in enumerate(self.tables)]
                return keras.ops.concatenate([x[:, :first], *vectors], axis=-1)

        return [Categories(), *hidden(layers)]

    return make
