"""Sharpened attention, and the path through it, against the official code's."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from acestep_core.analysis.alignment import median, path_through, sharpened, token_times
from support.reference.golden import GOLDEN, golden_tools, tools_case
from support.reference.oracle import furthest

CASES = json.loads((GOLDEN / "tools" / "lyrics.json").read_text())
NAMES = [name for name in CASES if name != "span" and f"{name}/heads" in golden_tools("lyrics")]
LOST = {"blunt", "uniform", "one_frame", "one_token"}
WARPED = [name.removesuffix("/cost") for name in golden_tools("lyrics") if name.endswith("/cost")]


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_out_is_what_the_official_code_keeps(name):
    data = tools_case(name, "lyrics")
    assert furthest(sharpened(data["heads"]).mean, data["calc"]) < 1e-6 * data["calc"].abs().max().clamp(
        min=1
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_path_and_the_times_are_the_official_ones(name):
    data, told = tools_case(name, "lyrics"), CASES[name]
    path = path_through(-data["calc"].double().numpy())
    assert np.array_equal(path, data["path"].numpy())
    tokens, rows = data["calc"].shape
    times = token_times(path, tokens, told["seconds"] / rows)
    assert times == [pytest.approx(tuple(pair), abs=1e-9) for pair in told["token_times"]]


@pytest.mark.parametrize("name", NAMES)
def test_singing_that_is_not_found_is_known(name):
    assert sharpened(tools_case(name, "lyrics")["heads"]).found == (name not in LOST)


@pytest.mark.parametrize("name", WARPED)
def test_any_cost_is_walked_as_the_official_code_walks(name):
    data = tools_case(name, "lyrics")
    assert np.array_equal(path_through(data["cost"].numpy()), data["path"].numpy())


def plain_path(cost):
    """The official loop, cell by cell."""
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf, np.float32)
    came = np.full((n + 1, m + 1), -1)
    total[0, 0] = 0
    for j in range(1, m + 1):
        for i in range(1, n + 1):
            c0, c1, c2 = total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]
            if c0 < c1 and c0 < c2:
                c, t = c0, 0
            elif c1 < c0 and c1 < c2:
                c, t = c1, 1
            else:
                c, t = c2, 2
            total[i, j], came[i, j] = cost[i - 1, j - 1] + c, t
    came[0, :], came[:, 0] = 2, 1
    path, i, j = [], n, m
    while i > 0 or j > 0:
        path.append((i - 1, j - 1))
        i, j = i - (came[i, j] in (0, 1)), j - (came[i, j] in (0, 2))
    return np.array(path[::-1]).T


@given(
    arrays.arrays(
        np.float64,
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
        elements=st.integers(-3, 3).map(lambda number: number / 2),  # many ties
    )
)
def test_along_diagonals_the_path_is_that_of_the_plain_loop(cost):
    assert np.array_equal(path_through(cost), plain_path(cost))


@pytest.mark.parametrize("dim", [-1, -2])
@pytest.mark.parametrize("shape", [(2, 5, 8), (3, 4, 7), (1, 1, 1)])
def test_the_median_is_the_quantile(shape, dim):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert furthest(median(x, dim), x.quantile(0.5, dim, keepdim=True)) < 1e-6


def test_a_long_song_is_walked_to_its_end():
    cost = -np.eye(400, 3750)
    path = path_through(cost)
    assert path[:, 0].tolist() == [0, 0]
    assert path[:, -1].tolist() == [399, 3749]
    assert (np.diff(path) >= 0).all()
