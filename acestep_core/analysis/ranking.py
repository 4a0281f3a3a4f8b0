"""Which of several takes is the best, by one measure or by several."""

from collections.abc import Sequence


def ranked(measures: Sequence[Sequence[float]]) -> list[int]:
    """The takes from the best to the worst, counted from 0. measures: each with one number per take, more is better.

    Several measures count by their places, not by their sizes; of equal takes the first comes first.
    """
    takes = range(len(measures[0]))
    places = [[1 + sum(other > value for other in measure) for value in measure] for measure in measures]
    return sorted(takes, key=lambda take: (sum(place[take] for place in places), take))
