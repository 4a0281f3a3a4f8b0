"""A listener that ignores can stand in for any other."""

import pytest

from acestep_core.interface import ignore


@pytest.mark.parametrize("told", [(), (1,), (1, 8), ("anything", None, 3)])
def test_whoever_ignores_takes_whatever_is_told_and_lets_the_work_go_on(told):
    assert ignore(*told) is None
