"""Read a wine-quality CSV, or say in one sentence what is wrong with it.

The layout is that of the well-known Kaggle copy: a header with the columns of `COLUMNS`, in any
order, and a row a wine. What people's copies differ in is accepted: quotes, spaces round cells,
capitals, CRLF, a byte-order mark, semicolons or tabs for commas, further columns, blank lines.
What would change a number in silence is refused: decimal commas, text, formulas, ragged rows.

Rows are split by `csv`, not by `pandas.read_csv`, whose engine in C takes a short row for one with
blank cells and counts lines past quoted line ends wrongly, and whose engine in Python refuses a
space after a quote.
"""

from __future__ import annotations

import csv
import difflib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from search_spaces._input import InputError

TYPES = ("white", "red")
MEASURES = (
    "fixed acidity",
    "volatile acidity",
    "citric acid",
    "residual sugar",
    "chlorides",
    "free sulfur dioxide",
    "total sulfur dioxide",
    "density",
    "pH",
    "sulphates",
    "alcohol",
)
COLUMNS = ("type", *MEASURES, "quality")

_MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")
_LARGEST = 1e15  # far above any measure; scaled values stay finite in float32
_FORMULA = ("=", "@", "+=", "-=")


def find_wine_csv() -> Path:
    """Return the path of our own copy: inside the installed package, or in the checkout.

    Raises:
        FileNotFoundError: Neither is there.
    """
    here = Path(__file__).resolve().parent
    name = "winequalityN.csv"
    for path in (here / name, here.parent / "data" / name):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"The wine data {name} must lie in search_spaces/ or data/, but neither holds it; "
        "install the package again or pass `csv`, the path of your own copy."
    )


def read_wine_csv(source: str | os.PathLike[str]) -> pd.DataFrame:
    """Return the rows of a wine CSV, incomplete ones included.

    Args:
        source: Path of the file; `~` is the home folder.

    Returns:
        The columns of `COLUMNS` in that order, as many rows as the file has (blank lines are not
        rows): `type` "white", "red" or missing; the others floats, NaN where the cell is blank.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file cannot be read, or `parse_wine_csv` refuses what it holds.

    Example:
        >>> read_wine_csv(find_wine_csv()).shape
        (6497, 13)
    """
    return parse_wine_csv(read_bytes(source), repr(str(source)))


def read_bytes(source: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a file; its errors are those of `read_wine_csv`."""
    if not isinstance(source, (str, os.PathLike)) or not str(source):
        raise InputError(
            f"`csv` must be the path of a file, but got {source!r}; pass e.g. 'winequalityN.csv'."
        )
    try:
        return Path(source).expanduser().read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(
            "`csv` must be the path of a file that exists, but there is no "
            f"{_short(str(source), 200)}; check the path, or leave it out for our own copy."
        ) from None
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"`csv` must be a file that can be read, but reading {_short(str(source), 200)} failed "
            f"({reason}); check the path and its permissions."
        ) from None


def parse_wine_csv(content: bytes, name: str = "the CSV") -> pd.DataFrame:
    r"""Return the rows of a wine CSV given as bytes; see `read_wine_csv`.

    Args:
        content: The bytes of the file.
        name: How an error calls the file.

    Raises:
        ValueError: The content breaks a rule: it is empty, is not text in UTF-8, lacks a column
            or has one twice, has a row shorter or longer than the header, a type other than white
            or red, or a cell that is not a finite number; the message names line and column.

    Example:
        >>> header = ",".join(COLUMNS).encode()
        >>> parse_wine_csv(header + b"\nred,7,0.3,0.4,2,0.05,,132,0.99,3.3,0.5,9.5,6")["type"][0]
        'red'
    """
    text = _decode(content, name)
    rows = _rows(text, name)
    header = [cell.strip() for cell in next(rows, (0, []))[1]]
    places = _find_columns(header, name)
    lines, cells = [], []
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(
                f"Every row of {name} must have the {len(header)} cells of its header, but line "
                f"{line} has {len(row)}; write decimal points, quote cells that hold a separator."
            )
        lines.append(line)
        cells.append([row[place].strip() for place in places])
    if not cells:
        raise InputError(f"{name} must have a row after its header, but has none; check the file.")
    table = pd.DataFrame(cells, columns=list(COLUMNS), dtype=object)
    return table.apply(_read_column, args=(lines, name))


def _decode(content: bytes, name: str) -> str:
    if b"\0" in content:
        raise InputError(
            f"{name} must be plain text, but byte {content.index(0)} is NUL, as in UTF-16 and in "
            "spreadsheet files; save it as a CSV in UTF-8."
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name} must be text in UTF-8, but byte {error.start} is 0x{content[error.start]:02x};"
            " save it as a CSV in UTF-8."
        ) from None
    if not text.strip():
        raise InputError(f"{name} must be a CSV with a header and rows, but is empty; check it.")
    return text


def _rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Give `(line number, cells)` of each row that is not blank, the header's first."""
    lines = csv.reader(
        io.StringIO(text, newline=""), delimiter=_separator(text), skipinitialspace=True
    )
    try:
        for row in lines:
            if len(row) > 1 or (row and row[0].strip()):
                yield lines.line_num, row
    except csv.Error as error:
        raise InputError(
            f"{name} must be a CSV, but line {lines.line_num} cannot be split into cells "
            f"({error}); look for a stray quote."
        ) from None


def _separator(text: str) -> str:
    """Return the separator that finds most of the columns in the first line; a comma in doubt."""
    first = text.lstrip().split("\n", 1)[0]

    def found(separator: str) -> int:
        cells = {_plain(cell.strip().strip("\"'")) for cell in first.split(separator)}
        return len(cells & {_plain(column) for column in COLUMNS})

    return max(",;\t", key=found)


def _find_columns(header: list[str], name: str) -> list[int]:
    """Return where each of `COLUMNS` stands in the header; further columns are ignored."""
    plain = [_plain(cell) for cell in header]
    for column in COLUMNS:
        count = plain.count(_plain(column))
        if count > 1:
            raise InputError(
                f"{name} must have each column once, but has {column!r} {count} times; "
                "remove or rename all but one."
            )
        if count == 0:
            close = difflib.get_close_matches(
                column, [cell for cell in header[:500] if len(cell) < 100], n=1
            )
            names = ", ".join(map(_short, header[:4])) or "nothing"
            more = f" and {len(header) - 4} more" if len(header) > 4 else ""
            hint = f"its first line names {names}{more}, where it should name {', '.join(COLUMNS)}."
            if close:
                hint = f"did you mean to rename {close[0]!r}?"
            raise InputError(f"{name} must have the column {column!r}, but has not; {hint}")
    return [plain.index(_plain(column)) for column in COLUMNS]


def _read_column(cells: pd.Series[Any], lines: list[int], name: str) -> pd.Series:
    given = cells.mask(cells.str.lower().isin(_MISSING), None)
    if cells.name == "type":
        rule = "be white or red"
        values: pd.Series = given.str.lower()
        good = values.isin(TYPES)
    else:
        rule = "hold finite numbers"
        values = pd.to_numeric(given, errors="coerce").astype("float64")
        good = values.abs() <= _LARGEST
        values[good] = given[good].map(float)  # pandas may miss the last bit of a number
    for place in (given.notna() & ~good).to_numpy().nonzero()[0][:1]:
        raise InputError(
            f"The column {cells.name!r} of {name} must {rule}, but line {lines[place]} has "
            f"{_short(cells[place])}; {_cure(cells[place])}."
        )
    return values


def _cure(cell: str) -> str:
    if cell.startswith(_FORMULA):
        return "save the value in place of the formula"
    if "," in cell:
        return f"write decimal points, e.g. {_short(cell.replace(',', '.', 1))}"
    return "correct it or leave the cell blank to drop the row"


def _plain(column: str) -> str:
    return " ".join(column.lower().replace("_", " ").split())


def _short(text: str, width: int = 40) -> str:
    return repr(text if len(text) <= width else text[: width - 3] + "...")
