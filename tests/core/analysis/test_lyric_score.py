"""The lyric score, against the official code's."""

import json

import pytest
import torch

from acestep_core.analysis.lyric_score import LyricScore, in_order, lyric_score, of_words
from support.reference.golden import GOLDEN, golden_tools, tools_case

CASES = json.loads((GOLDEN / "tools" / "lyrics.json").read_text())
NAMES = [name for name in CASES if name != "span" and f"{name}/heads" in golden_tools("lyrics")]


@pytest.mark.parametrize("name", NAMES)
def test_the_score_is_the_official_one(name):
    data, told = tools_case(name, "lyrics"), CASES[name]
    found = lyric_score(data["heads"], torch.tensor(told["type_mask"]).bool())
    parts = (found.coverage, found.monotonicity, found.confidence)
    assert parts == pytest.approx(
        [told[part] for part in ("coverage", "monotonicity", "confidence")], abs=1e-5
    )
    assert found.score == pytest.approx(told["score"], abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_words_are_told_from_structure_tags_as_the_official_code_does(name):
    pieces = tuple(text.encode("utf-8", "replace") for text in CASES[name]["single_texts"])
    assert of_words(pieces).int().tolist() == CASES[name]["type_mask"]


def test_attention_that_runs_far_backwards_is_out_of_order():
    energy = torch.eye(5).repeat_interleave(20, 1).flip(0)
    assert in_order(energy, torch.ones(5, dtype=torch.bool)) == 0.0
    assert in_order(energy.flip(0), torch.ones(5, dtype=torch.bool)) == 1.0


def test_only_words_are_looked_at_for_coverage_and_order():
    heads = torch.eye(6).repeat_interleave(20, 1)
    heads[2] = 0
    words = torch.ones(6, dtype=torch.bool)
    assert lyric_score(heads[None], words).coverage == pytest.approx(5 / 6)
    words[2] = False
    assert lyric_score(heads[None], words).coverage == 1.0


def test_nothing_but_tags_counts_as_covered():
    assert lyric_score(torch.rand(1, 3, 9), torch.zeros(3, dtype=torch.bool)).coverage == 1.0


def test_a_score_stays_between_nothing_and_one():
    assert LyricScore(1.0, 1.0, 1.0).score == 1.0
    assert LyricScore(0.5, 1.0, 1.0).score == 0.25
    assert LyricScore(1.0, 0.5, 1.0).score == 0.25


def test_faint_attention_moves_no_centre():
    energy = torch.zeros(2, 400)
    energy[0, 50], energy[1, 60] = 1.0, 1.0
    energy[0, 100:] = 0.009
    assert in_order(energy, torch.ones(2, dtype=torch.bool)) == 1.0
