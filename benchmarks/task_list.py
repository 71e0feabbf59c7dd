"""The tasks of the benchmarks: those that the method was developed on, and those set aside.

No task that is `held_out` was trained, nor any table of it looked at, from the first line of this
method to its last change. Tables of an earlier method on the same data and models had been seen.
"""

from __future__ import annotations

from benchmarks.tasks import BenchmarkTask, attention, batch_norm, cnn, cnn_1d, dense, dropout

TASKS: tuple[BenchmarkTask, ...] = (
    BenchmarkTask("digits mlp adam", "digits", dense(64), lambda o: o.Adam(), 32, 25),
    BenchmarkTask(
        "digits tanh sgd", "digits", dense(64, activation="tanh"), lambda o: o.SGD(), 16, 25
    ),
    BenchmarkTask(
        "digits deep gelu adamw",
        "digits",
        dense(48, 48, 48, 48, activation="gelu"),
        lambda o: o.AdamW(),
        64,
        25,
    ),
    BenchmarkTask(
        "digits batchnorm momentum",
        "digits",
        batch_norm(64, 32),
        lambda o: o.SGD(momentum=0.9),
        64,
        25,
    ),
    BenchmarkTask(
        "cancer dropout rmsprop", "cancer", dropout(32, rate=0.4), lambda o: o.RMSprop(), 32, 25
    ),
    BenchmarkTask("digits cnn nadam", "digit images", cnn, lambda o: o.Nadam(), 64, 20),
    BenchmarkTask("digits mlp lion 256", "digits", dense(64), lambda o: o.Lion(), 256, 40),
    BenchmarkTask("cancer logistic sgd", "cancer", dense(), lambda o: o.SGD(), 16, 30),
    BenchmarkTask(
        "diabetes mlp momentum",
        "diabetes",
        dense(32, activation="tanh"),
        lambda o: o.SGD(momentum=0.9, nesterov=True),
        16,
        30,
    ),
    BenchmarkTask("cultivars mlp rmsprop", "cultivars", dense(24), lambda o: o.RMSprop(), 16, 40),
    BenchmarkTask("quality mlp adam", "quality classes", dense(48, 24), lambda o: o.Adam(), 32, 20),
    BenchmarkTask(
        "quality regression sgd",
        "quality values",
        dense(48, activation="tanh"),
        lambda o: o.SGD(),
        64,
        20,
    ),
    BenchmarkTask(
        "quality logistic adamw", "quality classes", dense(), lambda o: o.AdamW(), 128, 20
    ),
    BenchmarkTask("digits sgd mlp", "digits", dense(64), lambda o: o.SGD(), 32, 20),
    BenchmarkTask("cancer adam mlp", "cancer", dense(32, 16), lambda o: o.Adam(), 16, 25),
    BenchmarkTask("diabetes adam deep", "diabetes", dense(48, 24), lambda o: o.Adam(), 16, 40),
    BenchmarkTask("diabetes rmsprop wide", "diabetes", dense(128), lambda o: o.RMSprop(), 32, 20),
    BenchmarkTask(
        "quality rmsprop tanh",
        "quality classes",
        dense(64, 32, activation="tanh"),
        lambda o: o.RMSprop(),
        64,
        15,
    ),
    BenchmarkTask(
        "quality values adam long", "quality values", dense(96, 96), lambda o: o.Adam(), 32, 25
    ),
    BenchmarkTask(
        "quality sgd momentum",
        "quality classes",
        dense(64, 64),
        lambda o: o.SGD(momentum=0.9),
        128,
        20,
    ),
    BenchmarkTask("quality adagrad", "quality values", dense(48), lambda o: o.Adagrad(), 32, 12),
    BenchmarkTask("digits adamax deep", "digits", dense(64, 64, 64), lambda o: o.Adamax(), 64, 15),
    BenchmarkTask("iris adam", "iris", dense(16), lambda o: o.Adam(), 16, 60),
    BenchmarkTask("cultivars sgd", "cultivars", dense(24), lambda o: o.SGD(), 16, 40),
    BenchmarkTask(
        "digits batchnorm adam short", "digits", batch_norm(64, 64), lambda o: o.Adam(), 32, 6
    ),
    BenchmarkTask("digits rmsprop small", "digits", dense(24), lambda o: o.RMSprop(), 32, 12),
    BenchmarkTask("digits adam long", "digits", dense(32, 32), lambda o: o.Adam(), 64, 50),
    BenchmarkTask(
        "digits momentum gelu",
        "digits",
        dense(64, activation="gelu"),
        lambda o: o.SGD(momentum=0.9),
        32,
        15,
    ),
    BenchmarkTask("digit rows nadam", "digit rows", cnn_1d, lambda o: o.Nadam(), 64, 12),
    BenchmarkTask("digits logistic adam", "digits", dense(), lambda o: o.Adam(), 32, 20),
    BenchmarkTask(
        "cancer nadam tanh", "cancer", dense(48, activation="tanh"), lambda o: o.Nadam(), 64, 40
    ),
    BenchmarkTask("cancer sgd deep", "cancer", dense(24, 24), lambda o: o.SGD(), 16, 30),
    BenchmarkTask("cancer adamax", "cancer", dense(64), lambda o: o.Adamax(), 32, 15),
    BenchmarkTask("cancer lion", "cancer", dense(32), lambda o: o.Lion(), 32, 20),
    BenchmarkTask("diabetes sgd", "diabetes", dense(32), lambda o: o.SGD(), 16, 25),
    BenchmarkTask(
        "diabetes nadam huber", "diabetes", dense(24), lambda o: o.Nadam(), 32, 30, loss="huber"
    ),
    BenchmarkTask(
        "diabetes linear momentum", "diabetes", dense(), lambda o: o.SGD(momentum=0.9), 32, 30
    ),
    BenchmarkTask("cultivars adam bn", "cultivars", batch_norm(16), lambda o: o.Adam(), 16, 30),
    BenchmarkTask("cultivars nadam", "cultivars", dense(32, 16), lambda o: o.Nadam(), 32, 40),
    BenchmarkTask("iris rmsprop", "iris", dense(32), lambda o: o.RMSprop(), 16, 30),
    BenchmarkTask("iris logistic momentum", "iris", dense(), lambda o: o.SGD(momentum=0.9), 16, 50),
    BenchmarkTask("quality adamw wide", "quality classes", dense(128), lambda o: o.AdamW(), 64, 25),
    BenchmarkTask(
        "quality values momentum",
        "quality values",
        dense(32, 32, activation="tanh"),
        lambda o: o.SGD(momentum=0.9),
        64,
        15,
    ),
    BenchmarkTask("quality values lion", "quality values", dense(48), lambda o: o.Lion(), 128, 20),
    BenchmarkTask(
        "quality adamax short", "quality classes", dense(48, 24), lambda o: o.Adamax(), 32, 6
    ),
    BenchmarkTask(
        "quality sgd tanh",
        "quality classes",
        dense(32, activation="tanh"),
        lambda o: o.SGD(),
        32,
        15,
    ),
    BenchmarkTask(
        "digits attention adam", "digit rows", attention, lambda o: o.Adam(), 32, 15, held_out=True
    ),
    BenchmarkTask(
        "cancer deep tanh nadam",
        "cancer",
        dense(24, 24, 24, activation="tanh"),
        lambda o: o.Nadam(),
        32,
        30,
        held_out=True,
    ),
    BenchmarkTask(
        "diabetes linear adam", "diabetes", dense(), lambda o: o.Adam(), 32, 40, held_out=True
    ),
    BenchmarkTask("iris mlp sgd", "iris", dense(16), lambda o: o.SGD(), 16, 40, held_out=True),
    BenchmarkTask(
        "quality batchnorm lion",
        "quality classes",
        batch_norm(32, 32),
        lambda o: o.Lion(),
        64,
        20,
        held_out=True,
    ),
    BenchmarkTask(
        "quality gelu nadam 256",
        "quality values",
        dense(32, 32, activation="gelu"),
        lambda o: o.Nadam(),
        256,
        25,
        held_out=True,
    ),
    BenchmarkTask(
        "cancer mlp nesterov",
        "cancer",
        dense(32),
        lambda o: o.SGD(momentum=0.9, nesterov=True),
        32,
        25,
        held_out=True,
    ),
    BenchmarkTask(
        "quality huber adam",
        "quality values",
        dense(32, 16),
        lambda o: o.Adam(),
        64,
        20,
        held_out=True,
        loss="huber",
    ),
    BenchmarkTask(
        "digits conv1d adamax", "digit rows", cnn_1d, lambda o: o.Adamax(), 32, 15, held_out=True
    ),
    BenchmarkTask(
        "cultivars gelu adamw",
        "cultivars",
        dense(16, activation="gelu"),
        lambda o: o.AdamW(),
        16,
        30,
        held_out=True,
    ),
)
