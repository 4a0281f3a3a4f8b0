"""A planner knows its room and its codes, and tells a thought in words."""

import pytest

from acestep_core.errors import InvalidInputError
from acestep_core.planner.chain_of_thought import Thought
from acestep_core.planner.planner import (
    CONTEXT,
    RESERVE,
    Answer,
    Draft,
    Planner,
    check_room,
    in_words,
    report_of,
)
from acestep_core.text.prompts import Brief
from support.tiny.planner_text import CODES, tiny


@pytest.fixture(scope="module")
def planner():
    """Without a network: nothing is generated here."""
    return Planner.of(None, tiny())


def test_part_of_the_context_stays_unused(planner):
    assert planner.context == CONTEXT
    assert planner.usable == CONTEXT - RESERVE


def test_code_tokens_are_those_of_the_tokenizer_with_an_end_where_one_may_come(planner):
    whole, ending = planner.code_tokens(), planner.code_tokens(may_end_early=True)

    assert [planner.tokenizer.special_names[token] for token in (whole.ids[0], whole.ids[-1])] == [
        "<|audio_code_0|>",
        f"<|audio_code_{CODES - 1}|>",
    ]
    assert (ending.ids, whole.end) == (whole.ids, None)
    assert planner.tokenizer.special_names[ending.end] == "<|im_end|>"


def test_a_grammar_belongs_to_the_planner_that_it_was_built_for(planner):
    assert planner.grammar.tokenizer is planner.tokenizer
    assert Planner.of(None, tiny()).grammar is not planner.grammar


def test_a_thought_in_words_has_the_names_of_its_text_and_only_mentions_the_caption():
    thought = Thought(bpm=90, caption="calm", key="C major", time_signature="6")

    assert in_words(thought) == "bpm 90, caption, keyscale C major, timesignature 6"
    assert in_words(Thought()) == "nothing"


def test_a_report_tells_given_and_decided_apart_and_what_was_cut(planner):
    given, draft = Thought(bpm=90), Draft(Thought(bpm=90, language="fr"), "la", 17)

    assert report_of(planner, given, draft, 40, ("lyrics",)) == (
        "Given: bpm 90.",
        "Decided: language fr.",
        f"Tokens: 40 read and 17 written, of {CONTEXT}.",
        "The lyrics had used all the room there was and were ended there; the last line may be cut.",
    )


def test_an_answer_to_read_ends_with_its_genres():
    answer = Answer(Brief("calm"), Thought(bpm=90, genres="jazz"), ())

    assert answer.text == "bpm: 90\ngenres: jazz"


def test_a_prompt_that_fills_the_room_is_let_pass_and_one_more_token_is_not():
    check_room(100, 100, "wish")
    with pytest.raises(InvalidInputError, match=r"with the wish is 101 tokens long(.|\n)*by 1 tokens"):
        check_room(101, 100, "wish")
