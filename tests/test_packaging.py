"""The wheel: what lies at its top, and that it works from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
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


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A fresh environment in which the wheel is installed, and what it depends on can be found."""
    place = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(place, symlinks=True)
    python = place / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*install, "--no-deps", "--no-index", str(wheel)], check=True, timeout=120)
    (packages,) = place.glob("lib/python*/site-packages")
    # a plain line: our editable installation, in a .pth file of its own there, is not read
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place


def test_the_installed_command_does_the_job_in_another_folder(installed, tmp_path) -> None:
    job = "--trials 2 --splits 1 --epochs 1 --pairs 1 --bounds 1e-4 1e-3 --quiet --out here"
    command = [str(installed / "bin" / "lr-range-search"), *job.split()]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "report: here/report.html" in done.stdout
    assert {"report.html", "report.json", "study.db"} <= {
        path.name for path in (tmp_path / "here").iterdir()
    }
    code = "import tuners, search_spaces; print(tuners.__file__); print(search_spaces.__file__)"
    found = subprocess.run(
        [str(installed / "bin" / "python"), "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    for path in found.stdout.split():
        assert Path(path).is_relative_to(installed)
        assert (Path(path).parent / "py.typed").is_file()


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
