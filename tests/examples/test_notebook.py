"""The notebook, run by a real kernel, and what its objects show."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook.ipynb"


def shown(cell: nbformat.NotebookNode) -> tuple[str, str]:
    """What a cell prints, and what its last line shows as HTML."""
    outputs = cell.get("outputs", [])
    printed = "".join(each.text for each in outputs if each.get("name") == "stdout")
    pages = [each.data.get("text/html", "") for each in outputs if "data" in each]
    return printed, "".join(pages)


@pytest.mark.slow
def test_the_notebook_runs_and_its_objects_show_themselves(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:  # the same code with fewer epochs, trials and pairs
        cell.source = cell.source.replace(
            "EPOCHS, BATCH_SIZE = 10, 32", "EPOCHS, BATCH_SIZE = 4, 32"
        )
        cell.source = cell.source.replace("n_trials=8", "n_trials=3").replace("pairs=12", "pairs=6")
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=200, resources=place).execute()
    _, curve, bounds, choice, comparison, last = (
        shown(cell) for cell in notebook.cells if cell.cell_type == "code"
    )
    assert re.match(r"learning rate .* \(11 rates, [\d.]+ trainings' steps, [\d.]+ s\)\n", curve[0])
    assert comparison[0].endswith(")\n")
    for _, page in (curve, bounds, choice, comparison):
        image = re.search(r'base64,([^"]+)"', page)
        assert image
        assert base64.b64decode(image[1]).startswith(b"\x89PNG")
    assert "recommended: " in last[0]
    assert (tmp_path / "report.html").is_file()


def test_the_stored_notebook_holds_its_outputs_and_nothing_of_a_machine() -> None:
    text = NOTEBOOK.read_text()
    cells = [cell for cell in nbformat.reads(text, as_version=4).cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in cells[1:])
    assert not re.search(r"stderr|/home/|/root/|/work/|\.venv|cudart", text)
