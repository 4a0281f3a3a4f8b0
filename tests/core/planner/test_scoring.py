"""The planner's score of codes, against the official code's."""

import json
from dataclasses import replace

import pytest
import torch

from acestep_core.checkpoints.planner_files import load_planner, load_planner_tokenizer, open_planner
from acestep_core.errors import InvalidInputError
from acestep_core.planner import scoring
from acestep_core.planner.chain_of_thought import Thought, thought_of
from acestep_core.planner.chats import NOTHING_SAID, UNDERSTAND, opened, understand_prompt
from acestep_core.planner.generation import Options
from acestep_core.planner.planner import Planner
from acestep_core.planner.scoring import (
    PlannerScore,
    Weights,
    asked_of,
    likelihoods,
    logarithms,
    recall,
    score_codes,
    sigmoid,
    targets_of,
    thinking,
)
from acestep_core.text.prompts import Brief
from support.reference.golden import GOLDEN
from support.tiny.checkpoint import PLANNER_FOLDER

RECORDED = json.loads((GOLDEN / "tools" / "planner_score.json").read_text())
CASES = ("all", "caption_only", "no_match")
CODES = RECORDED["all"]["codes"]


@pytest.fixture(scope="module")
def planner(tiny_turbo):
    files = open_planner(tiny_turbo / "official" / PLANNER_FOLDER)
    return Planner.of(load_planner(files), load_planner_tokenizer(files))


def asked(case):
    """The brief and the figures of a recorded case."""
    told = RECORDED[case]
    fields = dict(told["metadata"])
    fields = {
        "key": fields.pop("keyscale", None),
        "time_signature": fields.pop("timesignature", None),
        **fields,
    }
    return Brief(told["caption"], told["lyrics"]), Thought(**fields)


@pytest.mark.parametrize("case", CASES)
def test_prompts_and_targets_are_the_official_ones(planner, case):
    told, (brief, thought) = RECORDED[case], asked(case)
    assert planner.ids(understand_prompt(told["codes"])) == told["prompt_ids"]
    assert str(opened(UNDERSTAND, NOTHING_SAID)) == told["unconditional_prompt"]
    targets = targets_of(brief, thought)
    for name, recorded in told["log_probs"].items():
        assert str(targets[name]) == recorded["target"]
        assert planner.ids(targets[name]) == recorded["target_ids"]


def test_every_figure_is_a_thought_of_its_own_and_the_time_signature_a_number():
    targets = {name: str(target) for name, target in targets_of(*asked("all")).items()}
    recorded = {name: told["target"] for name, told in RECORDED["all"]["recall"].items()}
    assert targets["bpm"] == recorded["bpm"]
    assert targets["key"] == recorded["keyscale"]
    assert targets["language"] == recorded["language"]
    assert targets["time_signature"] == "<think>\ntimesignature: 4\n</think>\n"
    assert str(targets_of(*asked("no_match"))["genres"]) == "<think>\ngenres: pop\n</think>\n"


@pytest.mark.parametrize("case", CASES)
def test_chances_and_scores_are_the_official_ones(planner, case):
    told, (brief, thought) = RECORDED[case], asked(case)
    found = likelihoods(planner, told["codes"], targets_of(brief, thought), Options())
    for name, recorded in told["log_probs"].items():
        assert found[name].with_codes == pytest.approx(recorded["conditional"], abs=1e-4)
        assert found[name].without == pytest.approx(recorded["unconditional"], abs=1e-4)
    score = score_codes(planner, told["codes"], brief, thought, Options(), told["scale"])
    for name in {"caption", "lyrics"} & told["scores"].keys():
        assert {"caption": score.caption, "lyrics": score.lyrics}[name] == pytest.approx(
            told["scores"][name], abs=1e-4
        )
    assert score.reward() == pytest.approx(told["reward"], abs=1e-4)


@pytest.mark.parametrize("case", RECORDED["recall_synthetic"], ids=range(len(RECORDED["recall_synthetic"])))
def test_recall_and_logarithms_are_the_official_ones(case):
    logits, ids = torch.tensor(case["logits"]), torch.tensor(case["ids"])
    assert recall(logits, ids).mean().item() == pytest.approx(case["recall"], abs=1e-6)
    assert logarithms(logits, ids).mean().item() == pytest.approx(case["mean_log_prob"], abs=1e-5)


def test_the_tenth_place_still_counts_and_the_eleventh_does_not():
    logits = -torch.arange(12.0)[None]
    found = [recall(logits, torch.tensor([token])).item() for token in range(12)]
    assert found == pytest.approx([1 - rank / 10 for rank in range(10)] + [0, 0])


@pytest.mark.parametrize(("scores", "reward"), RECORDED["reward"])
def test_the_reward_is_the_official_one(scores, reward):
    fields = {name: value for name, value in scores.items() if name not in ("caption", "lyrics")}
    found = PlannerScore(scores.get("caption"), scores.get("lyrics"), fields)
    assert found.reward() == pytest.approx(reward, abs=1e-6)


def test_weights_count_and_nothing_that_counts_is_nothing():
    score = PlannerScore(0.2, 0.8, {"bpm": 0.5})
    assert score.reward(Weights(0, 1, 0)) == pytest.approx(0.8)
    assert score.reward(Weights(0.5, 0.5, 0)) == pytest.approx(0.5)
    assert score.reward(Weights(0, 0, 0)) == 0.0


@pytest.mark.parametrize(("gain", "scale", "value"), RECORDED["sigmoid"])
def test_the_sigmoid_is_the_official_one(gain, scale, value):
    assert sigmoid(gain / scale) == pytest.approx(value, abs=1e-6)


def test_a_lower_sensitivity_spreads_the_scores(planner):
    brief, thought = asked("caption_only")
    wide, narrow = (score_codes(planner, CODES, brief, thought, Options(), s).caption for s in (0.05, 1.0))
    assert abs(wide - 0.5) > abs(narrow - 0.5)


def test_the_prompts_are_read_once_and_every_target_goes_on_from_them(planner, monkeypatch):
    read, forward = [], type(planner.network).forward

    def counting(network, ids, view):
        read.append(ids.shape[1])
        return forward(network, ids, view)

    monkeypatch.setattr(type(planner.network), "forward", counting)
    brief, thought = asked("all")
    targets = targets_of(brief, thought)
    likelihoods(planner, CODES, targets, Options())
    prompts = [RECORDED["all"]["prompt_ids"], planner.ids(opened(UNDERSTAND, NOTHING_SAID))]
    assert read[:2] == list(map(len, prompts))
    assert read[2:] == [len(planner.ids(target)) - 1 for target in targets.values()]


def test_a_target_after_others_is_as_a_target_alone(planner):
    targets = targets_of(*asked("all"))
    together = likelihoods(planner, CODES, targets, Options())
    for name in ("lyrics", "time_signature"):
        alone = likelihoods(planner, CODES, {name: targets[name]}, Options())[name]
        assert alone.with_codes == pytest.approx(together[name].with_codes, abs=1e-5)
        assert alone.recall == together[name].recall


def test_tokens_are_looked_at_a_few_at_a_time_and_none_is_lost(planner, monkeypatch):
    targets = targets_of(*asked("all"))
    whole = likelihoods(planner, CODES, targets, Options())["lyrics"]
    monkeypatch.setattr(scoring, "AT_ONCE", 7)
    assert likelihoods(planner, CODES, targets, Options())["lyrics"].with_codes == pytest.approx(
        whole.with_codes, abs=1e-5
    )


def test_special_tokens_in_a_caption_are_ordinary_text(planner):
    (target,) = targets_of(Brief("calm <|im_end|> piano"), Thought()).values()
    assert planner.tokenizer.special("<|im_end|>") not in planner.ids(target)


def test_nothing_asked_for_is_nothing_scored(planner):
    assert score_codes(planner, CODES, Brief("", "[Instrumental]"), Thought(), Options()) == PlannerScore()


@pytest.mark.parametrize(
    ("codes", "problem"), [([], "no list of codes"), ([64_000], "code"), ([5] * 4100, "codes|tokens long")]
)
def test_codes_that_cannot_be_judged_are_refused(planner, codes, problem):
    with pytest.raises(InvalidInputError, match=problem):
        score_codes(planner, codes, Brief("calm"), Thought(), Options())


def test_words_beyond_the_planners_window_are_refused(planner):
    with pytest.raises(InvalidInputError, match="codes and the words is"):
        score_codes(planner, CODES, Brief("calm", "la la " * 3000), Thought(), Options())


def test_figures_are_those_of_the_brief_and_else_those_of_the_plan():
    brief = Brief("calm", "la", bpm=90, language="de")
    plan = Thought(bpm=120, key="C major", caption="loud", language="en", genres="pop")
    found = asked_of(brief, plan, thought_of(brief))
    assert found == Thought(bpm=90, key="C major", language="de", genres="pop")
    unknown = replace(brief, language="unknown")
    assert asked_of(unknown, plan, thought_of(unknown)).language == "en"
    assert str(thinking("bpm: 9")) == "<think>\nbpm: 9\n</think>\n"
