"""Two small tables as users have them, and the rows of M by naive loops."""

import numpy as np

N = 200


def people(n=N, seed=0):
    """Columns of persons in households, whose weight is that of the household."""
    rng = np.random.default_rng(seed)
    household = np.sort(rng.integers(0, n // 2, n))
    weight = rng.uniform(50, 150, n)
    return {
        "id": [f"p{i:03}" for i in range(n)],
        "household": household.tolist(),
        "region": rng.choice(["north", "south", "west"], n).tolist(),
        "age": rng.integers(0, 90, n).tolist(),
        "income": rng.lognormal(10, 1, n).round(2).tolist(),
        "owner": (rng.random(n) < 0.5).tolist(),
        "weight": weight[household].round(3).tolist(),
    }


COLUMNS = ("region", "age", "variable", "counts", "value")
ROWS = [  # the totals, and which person each counts
    (("north", None, None, None, 9000.0), lambda p: p["region"] == "north"),
    (("south|west", None, None, None, 11000.0), lambda p: p["region"] in ("south", "west")),
    ((None, "0-17", None, None, 4000.0), lambda p: 0 <= p["age"] <= 17),
    ((None, "18+", None, None, 16000.0), lambda p: p["age"] >= 18),
    (("north", "65+", None, None, 2000.0), lambda p: p["region"] == "north" and p["age"] >= 65),
    ((None, None, "income", None, 5e8), lambda p: True),
    (("west", None, "income", None, 1e8), lambda p: p["region"] == "west"),
]
UNIT_ROW = (None, "65+", None, "units", 3000.0), lambda p: p["age"] >= 65


def totals(rows=ROWS):
    """Return the columns of the table of totals."""
    return {name: [row[i] for row, _ in rows] for i, name in enumerate(COLUMNS)}


def naive_matrix(columns, rows=ROWS, unit=None):
    """Add up person by person what belongs to each column of M."""
    persons = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    keys = list(dict.fromkeys(range(len(persons)) if unit is None else columns[unit]))
    M = np.zeros((len(rows), len(keys)))
    for q, ((_, _, variable, counts, _), holds) in enumerate(rows):
        for i, person in enumerate(persons):
            j = keys.index(i if unit is None else person[unit])
            if holds(person):
                M[q, j] += person[variable] if variable else 1.0
        if counts == "units":
            M[q] = M[q] > 0
    return M
