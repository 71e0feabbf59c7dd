"""The worlds of the benchmarks: data sets and generators, each with its own way to draw a split."""

from __future__ import annotations

from benchmarks.worlds.generated import GENERATED
from benchmarks.worlds.tables import TABLES
from benchmarks.worlds.world import Split, World

WORLDS: dict[str, World] = {world.name: world for world in (*TABLES, *GENERATED)}

__all__ = ["WORLDS", "Split", "World"]
