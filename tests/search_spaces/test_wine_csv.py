from __future__ import annotations

import csv
import doctest
import io
import os

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from search_spaces import wine_csv
from search_spaces._input import InputError
from search_spaces.wine_csv import COLUMNS, find_wine_csv, parse_wine_csv, read_wine_csv

HEADER = ",".join(COLUMNS)
ROW = "red,7.4,0.7,0.5,1.9,0.076,11,34,0.9978,3.51,0.56,9.4,5"


def write(rows: list[list[str]], **style) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, **{"lineterminator": "\n", **style}).writerows(rows)
    return text.getvalue().encode()


def swap(column: str, cell: str, row: str = ROW) -> bytes:
    """Return a header and two rows, the second with one cell changed."""
    cells = row.split(",")
    cells[COLUMNS.index(column)] = cell
    return write([list(COLUMNS), row.split(","), cells])


def test_our_copy_has_the_rows_columns_and_blanks_of_its_description():
    table = read_wine_csv(find_wine_csv())
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == 6497
    assert table["type"].value_counts().to_dict() == {"white": 4898, "red": 1599}
    assert (table["type"][:4898] == "white").all()
    blanks = table.isna()
    assert int(blanks.to_numpy().sum()) == 38
    assert len(table.dropna()) == 6463
    assert table.index[blanks["pH"]].tolist() == [54, 139, 440, 587, 697, 972, 4892, 6428, 6429]
    assert table.index[blanks["sulphates"]].tolist() == [224, 2902, 6321, 6493]


def test_the_numbers_are_those_that_pandas_reads():
    table = read_wine_csv(find_wine_csv())
    read = pd.read_csv(find_wine_csv())
    pd.testing.assert_frame_equal(table, read, check_dtype=False, rtol=1e-14)


def test_one_row_is_read_cell_by_cell():
    table = parse_wine_csv(f"{HEADER}\n{ROW}\n".encode())
    assert table.to_dict("records") == [
        dict(zip(COLUMNS, ["red", *map(float, ROW.split(",")[1:])], strict=True))
    ]


VARIANTS = {
    "CRLF": lambda rows: write(rows, lineterminator="\r\n"),
    "old Mac line ends": lambda rows: write(rows, lineterminator="\r"),
    "no line end at the end": lambda rows: write(rows).rstrip(),
    "every cell quoted": lambda rows: write(rows, quoting=csv.QUOTE_ALL),
    "quoted, then a space": lambda rows: write(rows, quoting=csv.QUOTE_ALL).replace(b",", b" , "),
    "spaces round cells": lambda rows: write([[f"  {cell} " for cell in row] for row in rows]),
    "a byte-order mark": lambda rows: b"\xef\xbb\xbf" + write(rows),
    "semicolons": lambda rows: write(rows, delimiter=";"),
    "tabs": lambda rows: write(rows, delimiter="\t"),
    "blank lines": lambda rows: b"\n\n" + write(rows).replace(b"\n", b"\n\n") + b"\n \n",
    "capitals": lambda rows: write([[cell.title() for cell in row] for row in rows]),
    "underscores": lambda rows: write([[cell.replace(" ", "_") for cell in rows[0]], *rows[1:]]),
    "columns reversed": lambda rows: write([row[::-1] for row in rows]),
    "a column of numbers": lambda rows: write(
        [[str(index - 1) if index else "", *row] for index, row in enumerate(rows)]
    ),
    "blanks written NaN": lambda rows: write([[cell or "NaN" for cell in row] for row in rows]),
    "trailing zeros": lambda rows: write(
        [
            rows[0],
            *([row[0], *(c + ".0" if c.isdigit() else c for c in row[1:])] for row in rows[1:]),
        ]
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_other_ways_to_write_the_same_file_give_the_same_table(variant):
    ours = find_wine_csv().read_bytes()
    rows = list(csv.reader(io.StringIO(ours.decode())))
    rows = [rows[0], *rows[50:60], *rows[-10:]]  # with blank cells among them
    expected = parse_wine_csv(write(rows))
    assert expected.isna().any(axis=None)
    pd.testing.assert_frame_equal(parse_wine_csv(VARIANTS[variant](rows)), expected)


def test_ten_thousand_further_columns_are_ignored():
    more = ",".join(f"column {index}" for index in range(10_000))
    zeros = ",0" * 10_000
    table = parse_wine_csv(f"{HEADER},{more}\n{ROW}{zeros}\n".encode())
    assert table.shape == (1, 13)


NUMBER = r"must hold finite numbers, but line 3 has "
HOSTILE = {
    "nothing": (b"", "the CSV must be a CSV with a header and rows, but is empty"),
    "white space": (b" \r\n\t \n", "but is empty"),
    "a byte-order mark alone": (b"\xef\xbb\xbf\n", "but is empty"),
    "blank cells alone": (b'""\n""\n', "must have the column 'type', but .* names nothing, where"),
    "a header alone": (HEADER.encode(), "must have a row after its header, but has none"),
    "a header and blank lines": (f"{HEADER}\n\n \n".encode(), "must have a row after its header"),
    "junk bytes": (b"\x93\xff\x80" * 100, "must be text in UTF-8, but byte 0 is 0x93; save it"),
    "Latin-1": (swap("type", "rosé").decode().encode("latin-1"), "UTF-8, but byte 2.. is 0xe9"),
    "a NUL byte": (swap("pH", "3\0"), "must be plain text, but byte 2.. is NUL"),
    "UTF-16": (swap("pH", "3").decode().encode("utf-16"), "must be plain text, but byte 3 is NUL"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "must be plain text, but byte 8 is NUL"),
    "HTML": (b"<!DOCTYPE html>\n<p>404</p>\n", "column 'type', but has not; its first line names"),
    "JSON": (b'{"rows": [1, 2]}', "must have the column 'type'"),
    "no header": (
        f"{ROW}\n{ROW}\n".encode(),
        "column 'type', but .* names 'red', '7.4', .* 9 more",
    ),
    "no quality": (
        write([list(COLUMNS[:-1]), ROW.split(",")[:-1]]),
        "must have the column 'quality', but has not; its first line names 'type', .* and 8 more",
    ),
    "a misspelt column": (
        f"{HEADER}\n{ROW}".replace("alcohol", "alcohl").encode(),
        "the column 'alcohol', but has not; did you mean to rename 'alcohl'?",
    ),
    "10,000 other columns": (
        ",".join(f"column {index}" for index in range(10_000)).encode(),
        "the column 'type', but has not; .* and 9996 more",
    ),
    "a name of a million letters": (b"a" * 1_000_000, "line 1 cannot be split into cells .*quote"),
    "a duplicate column": (
        f"{HEADER},pH\n{ROW},3".encode(),
        "must have each column once, but has 'pH' 2 times; remove or rename",
    ),
    "a short row": (f"{HEADER}\n{ROW}\nred,7.4".encode(), "the 13 cells .* but line 3 has 2; "),
    "a long row": (f"{HEADER}\n{ROW},1\n".encode(), "the 13 cells .* but line 2 has 14; "),
    "decimal commas among commas": (
        f"{HEADER}\n{ROW.replace('.', ',')}\n".encode(),
        "must have the 13 cells of its header, but line 2 has 2.; write decimal points",
    ),
    "decimal commas, quoted": (
        swap("chlorides", "0,076"),
        f"The column 'chlorides' of the CSV {NUMBER}'0,076'; write decimal points, e.g. '0.076'",
    ),
    "decimal commas among semicolons": (
        swap("density", "0,9978").replace(b",", b";").replace(b'"0;9978"', b"0,9978"),
        f"The column 'density' of the CSV {NUMBER}'0,9978'; write decimal points",
    ),
    "a text": (swap("pH", "sour"), f"The column 'pH' of the CSV {NUMBER}'sour'; correct it or"),
    "two numbers": (swap("pH", "3 3"), f"{NUMBER}'3 3'"),
    "a number in base 16": (swap("pH", "0x3"), f"{NUMBER}'0x3'"),
    "a truth value": (swap("pH", "True"), f"{NUMBER}'True'"),
    "a complex number": (swap("pH", "3j"), f"{NUMBER}'3j'"),
    "an underscore": (swap("pH", "1_0"), f"{NUMBER}'1_0'"),
    "a formula": (swap("alcohol", "=SUM(L2:L9)"), f"{NUMBER}'=SUM.L2:L9.'; save the value in"),
    "a command in a formula": (swap("alcohol", "@cmd|' /C calc'!A0"), f'{NUMBER}"@cmd.*formula'),
    "a formula for a type": (swap("type", '=HYPERLINK("x")'), "'type' .* white or red, but line 3"),
    "infinity": (swap("sulphates", "inf"), f"{NUMBER}'inf'"),
    "minus infinity": (swap("sulphates", "-Infinity"), f"{NUMBER}'-Infinity'"),
    "too large for a float": (swap("sulphates", "1e999"), f"{NUMBER}'1e999'"),
    "too large for a scale": (swap("sulphates", "1e300"), f"{NUMBER}'1e300'"),
    "many digits": (swap("quality", "9" * 500), f"{NUMBER}'9{{37}}...'"),
    "terminal codes": (swap("quality", "\x1b[31m5"), NUMBER + r"'\\x1b\[31m5'"),
    "another type": (swap("type", "rosé"), "must be white or red, but line 3 has 'rosé'; correct"),
    "a number for a type": (swap("type", "1"), "must be white or red, but line 3 has '1'"),
    "an open quote": (swap("pH", "3").replace(b",3,", b',"3,'), r"but line 3 has 10; "),
    "an open quote in a large file": (
        f'{HEADER}\n"{ROW}\n'.encode() + f"{ROW}\n".encode() * 5000,
        "cannot be split into cells .*; look for a stray quote",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_breaks_a_rule_is_refused_in_one_sentence(name):
    content, message = HOSTILE[name]
    with pytest.raises(ValueError, match=message) as caught:
        parse_wine_csv(content)
    assert_plain(caught)


def assert_plain(caught: pytest.ExceptionInfo[Exception]) -> None:
    message = str(caught.value)
    assert type(caught.value) in (InputError, FileNotFoundError)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert message.isprintable()
    assert len(message) < 600


def test_the_error_gives_the_line_of_the_file_past_blank_lines_and_quoted_line_ends():
    noted = f'{HEADER},note\n\n{ROW},"two\nlines"\n{ROW.replace("9.4", "?!")},\n'
    with pytest.raises(ValueError, match=r"'alcohol' of 'a\.csv' must .* but line 5 has '\?!'"):
        parse_wine_csv(noted.encode(), "'a.csv'")


CELLS = st.sampled_from(
    ["", "white", "red", "7", "7.4", "1,5", "=A1", "inf", "nan", '"', "\n", ";", "\t", "é", "-"]
) | st.text(max_size=5)


@given(st.binary(max_size=300))
@example(b"\xff\xfe" + "type,pH".encode("utf-16-le"))
def test_any_bytes_give_a_table_or_an_error_of_ours(content):
    check(content)


@given(
    st.permutations(COLUMNS).flatmap(lambda names: st.just(names) | st.just(names[1:])),
    st.lists(st.lists(CELLS, min_size=12, max_size=14), max_size=4),
    st.sampled_from(",;\t"),
    st.booleans(),
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\0", b'"']),
)
def test_any_cells_under_any_header_give_a_table_or_an_error_of_ours(
    header, rows, separator, quoted, start
):
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    check(start + write([list(header), *rows], delimiter=separator, quoting=quoting))


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["white", "red", ""]),
            *[st.none() | st.floats(-1e15, 1e15, width=64)] * 12,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_finite_numbers_come_back_as_they_were_written(rows):
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    table = parse_wine_csv(write([list(COLUMNS), *cells]))
    back = [[None if pd.isna(cell) else cell for cell in row] for row in table.to_numpy().tolist()]
    assert back == [[cell if cell != "" else None for cell in row] for row in rows]


def check(content: bytes) -> None:
    table, refused = None, None
    try:
        table = parse_wine_csv(content)
    except ValueError as error:
        refused = error
    if table is None:
        assert type(refused) is InputError
        assert "the CSV" in str(refused)
        assert str(refused).isprintable()
        return
    assert list(table.columns) == list(COLUMNS)
    assert len(table) > 0
    assert set(table["type"].dropna()) <= {"white", "red"}
    assert (table.iloc[:, 1:].abs().fillna(0) <= 1e15).all(axis=None)


def test_a_file_that_cannot_be_read_is_refused_by_its_path(tmp_path):
    missing = tmp_path / "none.csv"
    with pytest.raises(
        FileNotFoundError, match=r"there is no '.*none.csv'; check the path"
    ) as caught:
        read_wine_csv(missing)
    assert_plain(caught)
    for source, message in (
        (tmp_path, r"reading '.*' failed \(Is a directory\)"),
        ("a\0b.csv", r"reading 'a.*b.csv' failed \(embedded null byte\)"),
        ("n" * 5000, r"reading 'n{197}\.\.\.' failed \(File name too long\)"),
        ("", "must be the path of a file, but got ''"),
        (7, "must be the path of a file, but got 7"),
        (b"a.csv", "must be the path of a file, but got b'a.csv'"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            read_wine_csv(source)
        assert_plain(caught)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read any file")
def test_a_file_without_permission_is_refused(tmp_path):
    path = tmp_path / "closed.csv"
    path.write_bytes(swap("pH", "3"))
    path.chmod(0)
    with pytest.raises(ValueError, match="Permission denied"):
        read_wine_csv(path)


def test_without_any_copy_of_ours_the_error_says_where_it_belongs(tmp_path, monkeypatch):
    monkeypatch.setattr(wine_csv, "__file__", str(tmp_path / "package" / "wine_csv.py"))
    with pytest.raises(FileNotFoundError, match=r"winequalityN.csv must lie in search_spaces/ or"):
        find_wine_csv()


def test_the_docstring_examples_run():
    assert doctest.testmod(wine_csv).failed == 0
