"""Takes from the best to the worst."""

from itertools import permutations

import pytest

from acestep_core.analysis.ranking import ranked


def test_more_is_better():
    assert ranked([[0.1, 0.9, 0.5]]) == [1, 2, 0]


@pytest.mark.parametrize("takes", list(permutations([0.1, 0.4, 0.7])))
def test_the_order_of_takes_only_permutes_the_ranking(takes):
    assert [takes[take] for take in ranked([list(takes)])] == [0.7, 0.4, 0.1]


def test_of_equal_takes_the_first_comes_first():
    assert ranked([[0.5, 0.9, 0.9, 0.5]]) == [1, 2, 0, 3]


def test_several_measures_count_by_their_places():
    assert ranked([[0.9, 0.8, 0.1], [0.001, 0.002, 0.003]]) == [0, 1, 2]
    assert ranked([[0.9, 0.8, 0.1], [0.1, 0.3, 0.2]]) == [1, 0, 2]


def test_one_take_is_the_best():
    assert ranked([[0.0], [0.0]]) == [0]
