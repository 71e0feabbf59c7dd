"""Whether a model is still the one that a study was begun with: a hash of each of its parts."""

from __future__ import annotations

import base64
import hashlib
import json
import marshal
import re
import warnings
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any


def model_fingerprint(model: Any) -> dict[str, str]:
    """Return a hash of each part of a compiled model, the same in every process that builds it.

    Names that Keras counts up (dense, dense_1, ...) are numbered by their order in the model;
    functions count by module and name, lambdas by what they do. A model without a
    configuration, or whose parts have none, counts by the names of classes and the shapes of its
    variables.

    Args:
        model: A built and compiled `keras.Model`.

    Returns:
        12 hexadecimal digits for each of "model architecture", "model loss", "model metrics" and
        "optimizer settings", the compiled learning rate among the last.
    """
    optimizer = model.optimizer
    compiled = _config(model.get_compile_config) or {
        "loss": _named(model.loss),
        "metrics": [metric.name for metric in model.metrics],
        "optimizer": _config_of(optimizer),
    }
    shapes = [[tuple(variable.shape), variable.trainable] for variable in model.variables]
    parts = {
        "model architecture": [_config_of(model), shapes],
        "model loss": [compiled.get("loss"), compiled.get("loss_weights")],
        "model metrics": [compiled.get("metrics"), compiled.get("weighted_metrics")],
        "optimizer settings": compiled.get("optimizer"),
    }
    return {name: _digest(part) for name, part in parts.items()}


def _config(read: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing is saved, so that a lambda is no danger
        try:
            return read()
        except Exception:  # users' own classes raise what they like
            return None


def _config_of(thing: Any) -> dict[str, Any]:
    return {"class_name": type(thing).__name__, "config": _config(thing.get_config)}


def _digest(part: Any) -> str:
    names: dict[str, str] = {}

    def number(node: Any) -> None:
        if isinstance(node, Mapping):
            kind, config = str(node.get("class_name")), node.get("config")
            name = config.get("name") if isinstance(config, Mapping) else None
            if isinstance(name, str) and _is_counted(name, kind):
                names.setdefault(name, f"{kind} {len(names)}")
        for child in node.values() if isinstance(node, Mapping) else node:
            if isinstance(child, (Mapping, list, tuple)):
                number(child)

    def stable(node: Any) -> Any:
        if isinstance(node, Mapping):
            if node.get("class_name") == "__lambda__":
                return _lambda_body(node["config"])
            # None is what a later version of Keras adds; an object's number is of its process
            kept = {key: item for key, item in node.items() if key != "shared_object_id"}
            return {str(key): stable(item) for key, item in kept.items() if item is not None}
        if isinstance(node, (list, tuple)):
            return [stable(item) for item in node]
        return names.get(node, node) if isinstance(node, str) else node

    number([part])
    text = json.dumps(stable(part), sort_keys=True, default=_named)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _is_counted(name: str, kind: str) -> bool:
    """Whether Keras made a name from that of its class: conv2d_3 of Conv2D."""
    return re.sub(r"_\d+$", "", name).replace("_", "") == kind.replace("_", "").lower()


def _lambda_body(config: Mapping[str, Any]) -> Any:
    """Return what a lambda does, without the file and line that it stands in."""
    dumped = config["value"] if "value" in config else [config.get("code"), config.get("defaults")]
    code = marshal.loads(base64.b64decode(str(dumped[0])))

    def body(constant: Any) -> Any:
        if isinstance(constant, frozenset):
            return sorted(map(repr, constant))  # whose order is that of the process
        if not isinstance(constant, CodeType):
            return repr(constant)
        return [constant.co_code.hex(), constant.co_names, [body(c) for c in constant.co_consts]]

    return ["lambda", body(code), repr(dumped[1])]


def _named(thing: Any) -> Any:
    if hasattr(thing, "tolist"):
        return thing.tolist()
    if isinstance(thing, (str, list, tuple, dict)) or thing is None:
        return thing
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"
