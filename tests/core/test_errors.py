"""Errors arrive whole wherever they are caught: as a copy, in a pickle, out of another process."""

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch

from acestep_core import errors
from support.failing import fail

SENTENCES = "The song is too long.", "Shorten it."
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


def through_a_pickle(error):
    return pickle.loads(pickle.dumps(error))  # noqa: S301


def out_of_another_process(error):
    """By an executor, which tells of a child that ends too soon; a Pool would wait for it for ever."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            pool.submit(fail, type(error), *SENTENCES).result(60)
        except errors.AceStepError as caught:
            return caught


def assert_the_same(error, arrived):
    assert type(arrived) is type(error)
    assert (arrived.problem, arrived.remedy) == SENTENCES
    assert str(arrived) == str(error) == "\n".join(SENTENCES)


@pytest.mark.parametrize("sent", [copy.copy, copy.deepcopy, through_a_pickle])
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_says_the_same(kind, sent):
    error = kind(*SENTENCES)
    assert_the_same(error, sent(error))


def test_an_error_crosses_processes():
    error = errors.DeviceFullError(*SENTENCES)
    assert_the_same(error, out_of_another_process(error))


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_found_where_it_says_it_is(kind):
    assert through_a_pickle(kind) is kind


def test_what_a_host_knows_as_full_memory_is_that():
    assert isinstance(errors.DeviceFullError(*SENTENCES), torch.OutOfMemoryError)


def test_a_problem_of_any_length_stays_a_sentence_with_its_beginning_and_its_end():
    error = errors.InvalidInputError(f"The name {'x' * 10**6} is too long.", "Shorten it.")
    assert len(error.problem) < errors.LONGEST + 10
    assert error.problem.startswith("The name xxx")
    assert error.problem.endswith("xxx is too long.")
    assert str(through_a_pickle(error)) == str(error) == f"{error.problem}\nShorten it."
