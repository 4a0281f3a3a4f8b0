"""The condition encoder equals the reference model; a song never sees another's padding."""

import pytest
import torch

from support.reference.golden import golden_case, golden_condition_encoder
from support.reference.oracle import CONFIGS, condition_encoders_of, furthest

MODULE = 5e-5


def given(name: str, text: int, lyrics: int, references: int, seed: int = 0):
    config = CONFIGS[name]
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(1, text, config.text_hidden_dim, generator=generator),
        torch.randn(1, lyrics, config.text_hidden_dim, generator=generator),
        torch.randn(references, 40, config.timbre_hidden_dim, generator=generator),
    )


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(("text", "lyrics", "references"), [(7, 20, 1), (3, 2, 1), (5, 31, 3)])
def test_equals_the_reference_model(name, text, lyrics, references):
    theirs, ours = condition_encoders_of(name)
    hidden, words, timbre = given(name, text, lyrics, references)
    seen = [torch.ones(1, n, dtype=torch.bool) for n in (text, lyrics)]

    expected, mask = theirs(
        hidden, seen[0], words, seen[1], timbre, torch.zeros(references, dtype=torch.long)
    )

    assert mask.all()
    assert furthest(ours(hidden, words, timbre), expected) < MODULE


@pytest.mark.parametrize("name", CONFIGS)
def test_songs_of_unequal_length_equal_the_valid_rows_of_the_reference_batch(name):
    theirs, ours = condition_encoders_of(name)
    songs = [given(name, 9, 23, 1, seed=1), given(name, 4, 6, 1, seed=2)]
    texts, lyrics, timbres = zip(*songs, strict=True)

    def padded(rows):
        batch = torch.nn.utils.rnn.pad_sequence([row[0] for row in rows], batch_first=True, padding_value=7.0)
        lengths = torch.tensor([row.shape[1] for row in rows])
        return batch, torch.arange(batch.shape[1]) < lengths[:, None]

    expected, mask = theirs(*padded(texts), *padded(lyrics), torch.cat(timbres), torch.arange(2))
    for row, valid, song in zip(expected, mask, songs, strict=True):
        assert furthest(ours(*song)[0], row[valid.bool()]) < MODULE


@pytest.mark.parametrize("case", ["plain", "padded", "two_refs"])
def test_equals_the_golden_data(case):
    data = golden_case("modules", f"cond/{case}")
    for i in range(len(data["out"])):
        text = data["in_text"][i : i + 1, : data["in_text_mask"][i].sum()]
        lyrics = data["in_lyric"][i : i + 1, : data["in_lyric_mask"][i].sum()]
        out = golden_condition_encoder()(text, lyrics, data["in_ref"][data["in_order"] == i])
        assert furthest(out[0], data["out"][i][data["out_mask"][i].bool()]) < MODULE


def test_lyrics_come_first_then_timbre_then_text():
    _, ours = condition_encoders_of("2B-like")
    text, lyrics, timbre = given("2B-like", 5, 8, 2)
    whole = ours(text, lyrics, timbre)[0]
    assert torch.equal(whole[8:10], ours.timbre(timbre))
    assert torch.equal(whole[10:], ours.text_projector(text)[0])
    assert torch.equal(whole[:8], ours.lyric_encoder(lyrics)[0])


def test_a_timbre_kept_from_before_gives_the_same_sequence():
    _, ours = condition_encoders_of("XL-like")
    text, lyrics, timbre = given("XL-like", 5, 8, 2)
    assert torch.equal(ours.join(text, lyrics, ours.timbre(timbre)), ours(text, lyrics, timbre))
