import pytest

from acestep_core.errors import InvalidInputError
from acestep_core.text.sheet import LARGEST_SEED, MOST_PAIRS, Pair, columns_of, pairs_of, sides_of


def test_every_seed_is_played_with_every_value_a_row_for_each_seed():
    assert pairs_of("3, 5", "0.40,0.6, -1") == [
        Pair(3, 0.4, "3 | 0.40"),
        Pair(3, 0.6, "3 | 0.6"),
        Pair(3, -1.0, "3 | -1"),
        Pair(5, 0.4, "5 | 0.40"),
        Pair(5, 0.6, "5 | 0.6"),
        Pair(5, -1.0, "5 | -1"),
    ]
    assert columns_of(pairs_of("3 5", "2")) == ([3, 5], [2.0, 2.0], ["3 | 2", "5 | 2"])


@pytest.mark.parametrize("text", ["3,5", " 3 ,5, ", "3 5", "3;5", "3\n5", "3\uff0c5", "3\u30015", ",3,,5"])
def test_lists_are_read_as_people_write_them(text):
    assert [pair.seed for pair in pairs_of(text, "1")] == [3, 5]


def test_the_sides_keep_how_they_were_written():
    assert [list(side) for side in sides_of("03 5", "0.40, +1")] == [["03", "5"], ["0.40", "+1"]]


def test_the_largest_seed_stays_exact():
    assert pairs_of(str(LARGEST_SEED), "1e-3")[0][:2] == (LARGEST_SEED, 0.001)


def numbers(count):
    return ", ".join(map(str, range(count)))


@pytest.mark.parametrize(
    ("seeds", "values", "problem"),
    [
        ("", "1", "The seeds are empty."),
        ("1", " , ", "The values are empty."),
        ("1, two", "1", "'two' among the seeds is no whole number"),
        ("1.5", "1", "'1.5' among the seeds is no whole number"),
        ("-1", "1", "'-1' among the seeds is no whole number"),
        (str(LARGEST_SEED + 1), "1", "among the seeds is no whole number"),
        ("\u0663", "1", "among the seeds is no whole number"),
        ("1", "nan", "'nan' among the values is no number"),
        ("1", "1e999", "'1e999' among the values is no number"),
        ("1", "0x10", "'0x10' among the values is no number"),
        ("1", "1_0", "'1_0' among the values is no number"),
        ("7, 8, 07", "1", "07 is there twice among the seeds."),
        ("1", "0.4, 0.40", "0.40 is there twice among the values."),
        (numbers(MOST_PAIRS + 1), "1", f"{MOST_PAIRS + 1} songs"),
        (numbers(6), numbers(7), "6 seeds with 7 values are 42 songs"),
        ("1 " * 3000, "1", "The seeds are too many."),
    ],
)
def test_what_is_no_sheet_is_refused_in_two_sentences(seeds, values, problem):
    with pytest.raises(InvalidInputError) as error:
        pairs_of(seeds, values)
    assert problem in error.value.problem
    assert error.value.remedy.endswith(".")


def test_a_full_sheet_is_taken():
    assert len(pairs_of(numbers(6), numbers(6))) == MOST_PAIRS
