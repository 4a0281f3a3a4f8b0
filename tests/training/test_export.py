"""What training computes is what the plugin plays, once it has gone through the files."""

import dataclasses

import numpy as np
import pytest
import torch

from training import clock, codes, export, layout, words
from training.examples import batch, brief
from training.filterbank import filterbank
from training.network import MODEL_CONFIG, Texts, TinyModel, distance_to_words
from training.playing import Settings, Studio

FRAMES = 128  # the plugin lengthens shorter songs


@pytest.fixture(scope="module")
def model():
    """An untrained model that says something, in numbers that bfloat16 can hold."""
    torch.manual_seed(3)
    model = TinyModel()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_((weight + 0.02 * torch.randn_like(weight)).bfloat16())
    return model


@pytest.fixture(scope="module")
def studio(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    kept = {name: weight.detach() for name, weight in model.named_parameters()}
    size = export.write(folder, kept, filterbank().official(torch.float16), codes.begun().state_dict())
    assert size < export.LIMIT
    return dataclasses.replace(Studio.opened(folder), settings=Settings(steps=1, guidance=1.0))


@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_one_step_of_the_plugin_is_one_look_of_training(model, studio, seed):
    rng = np.random.default_rng(seed)
    lessons = batch(rng, 3, FRAMES, dropped=0.0)
    one = lessons.lessons[0]
    told = brief(rng, one, "la la", 5)
    context = lessons.shown.context[:1].clone()
    if (
        one.task == "repaint"
    ):  # the plugin counts from the beginning of what it is given, and so does its silence
        hole = one.mask[:, 0] > 0
        context[0, hole, :64] = torch.from_numpy(clock.silence(0, FRAMES)[hole])
    shown = dataclasses.replace(
        lessons.shown,
        context=context,
        texts=texts_of(one.task, told),
        timbre_of=torch.tensor([0]),
        dropped=torch.tensor([False]),
    )
    noise = torch.randn(1, FRAMES, 64, generator=torch.Generator().manual_seed(seed))
    wanted = noise - model(noise, torch.ones(1), shown)[0]
    source = shown.context[..., :64]
    mask = shown.context[..., 64] if one.task == "repaint" else None
    song = studio.play([studio.told(told, one.task)], source, [seed], mask)
    inside = slice(None) if mask is None else mask[0] > 0
    assert song.shape == wanted.shape
    assert (song - wanted)[0, inside].abs().max() < 1e-3 * wanted.abs().max()


def texts_of(task: str, told) -> Texts:
    from training.examples import texts

    return texts([(task, told)])


def test_tokens_of_one_meaning_share_their_row(studio):
    table = studio.conditioner.text_encoder.model.get_submodule("embed_tokens").weight
    ids = [studio.conditioner.tokenizer.ids(text) for text in ("- bpm: 125\n", "- bpm: 120\n", "- bpm: 75\n")]
    first, near, far = (table[one[0]] for one in ids)
    assert torch.equal(first, near)
    assert not torch.equal(first, far)
    assert len(table) == words.count()


def test_the_sizes_are_those_of_the_published_kind():
    assert MODEL_CONFIG["fsq_input_levels"] == [8, 8, 8, 5, 5, 5]
    assert MODEL_CONFIG["rope_theta"] == 1e6
    assert MODEL_CONFIG["sliding_window"] == 128


def test_an_exported_checkpoint_is_read_back(model, tmp_path):
    kept = {name: weight.detach() for name, weight in model.named_parameters()}
    export.write(tmp_path, kept, filterbank().official(torch.float16), codes.begun().state_dict())
    again = dict(export.read(tmp_path).named_parameters())
    assert again.keys() == kept.keys()
    for name, weight in kept.items():
        assert name.endswith("embed_tokens.weight") or torch.equal(again[name], weight), name


def test_a_timbre_that_says_what_the_word_says_is_near_it():
    guitar = words.meanings().index("word guitar")
    captions = torch.tensor([[3, guitar, 5], [guitar, 3, 5]])
    text = torch.arange(24.0).reshape(2, 3, 4)
    word = (text[0, 1] + text[1, 0]) / 2
    far = torch.zeros(3, 4)
    near = far.clone()
    near[layout.LEADS.index("guitar")] = word
    assert distance_to_words(near, text, captions) == 0
    assert distance_to_words(far, text, captions) == pytest.approx(1.0)
    assert distance_to_words(far, text, torch.full_like(captions, 3)) == 0
