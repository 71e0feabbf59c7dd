"""The wheel: what lies at its top, and that it works from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_the_packages_and_the_command_and_nothing_else_at_its_top(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    (info,) = (top for top in tops if top.endswith(".dist-info"))
    assert tops == {"tuners", "search_spaces", "run_search.py", info}
    assert info.startswith("lr_range_tuner-")
    assert {"search_spaces/wine.py", "search_spaces/task.py", "tuners/__init__.py"} <= set(names)
    assert [name for name in names if name.endswith(".csv")] == ["search_spaces/winequalityN.csv"]
    assert not [
        name for name in names if "__pycache__" in name or Path(name).name.startswith("test_")
    ]


def test_every_file_of_the_packages_is_in_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    kept = {
        path.relative_to(ROOT).as_posix()
        for package in ("tuners", "search_spaces")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert kept <= packed


def test_the_wheel_installs_the_command_and_the_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        texts = {
            Path(name).name: archive.read(name).decode()
            for name in archive.namelist()
            if ".dist-info/" in name
        }
    assert "lr-range-search = run_search:main" in texts["entry_points.txt"]
    assert "MIT License" in texts["LICENSE"]
    assert "Requires-Dist: tensorboard" in texts["METADATA"]
    assert "Provides-Extra: gp" in texts["METADATA"]


def test_the_wine_task_works_from_the_unpacked_wheel_in_another_folder(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "packages")
    code = (
        "import search_spaces; from search_spaces.wine_csv import find_wine_csv;"
        "task = search_spaces.wine_task();"
        "print(search_spaces.__file__, find_wine_csv(), len(task.test[1]), sep='\\n')"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "packages")},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    package = tmp_path / "packages" / "search_spaces"
    assert done.stdout.splitlines() == [
        str(package / "__init__.py"),
        str(package / "winequalityN.csv"),
        "1293",
    ]
