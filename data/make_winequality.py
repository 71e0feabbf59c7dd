"""Make `winequalityN.csv` from the two UCI files, with the cells blank that the Kaggle copy lacks.

    python data/make_winequality.py winequality-white.csv winequality-red.csv winequalityN.csv

The UCI files are separated by semicolons; their cells are copied as they are written there, and
38 cells in 34 rows are left blank.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from pathlib import Path

SHA256 = {
    "white": "76c3f809815c17c07212622f776311faeb31e87610d52c26d87d6e361b169836",
    "red": "4a402cf041b025d4566d954c3b9ba8635a3a8a01e039005d97d6a710278cf05e",
}
BLANK = {  # 0-based rows after the header, white first
    "fixed acidity": (17, 174, 249, 267, 368, 518, 1079, 2902, 6428, 6429),
    "volatile acidity": (86, 521, 621, 812, 1079, 2894, 4895, 6486),
    "citric acid": (268, 909, 6320),
    "residual sugar": (33, 438),
    "chlorides": (98, 747),
    "pH": (54, 139, 440, 587, 697, 972, 4892, 6428, 6429),
    "sulphates": (224, 2902, 6321, 6493),
}


def main(white: Path, red: Path, target: Path) -> None:
    """Check both sources against their checksums and write the joined file."""
    rows: list[list[str]] = []
    header: list[str] = []
    for kind, path in (("white", white), ("red", red)):
        content = path.read_bytes()
        if (got := hashlib.sha256(content).hexdigest()) != SHA256[kind]:
            raise SystemExit(f"{path} must have sha256 {SHA256[kind]}, but got {got}")
        first, *body = csv.reader(content.decode().splitlines(), delimiter=";")
        header = ["type", *first]
        rows += [[kind, *row] for row in body]
    for name, numbers in BLANK.items():
        for number in numbers:
            rows[number][header.index(name)] = ""
    with target.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
