"""Teaches the semantic tokenizer its codes, and the detokenizer to turn them into hints.

    python -m training.codes STATE [--steps 1500]

What a code says is not left to chance: the six digits of the published quantizer are told apart as melody note, chord,
drums and the frame they fall on, and the tokenizer learns to spell them.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import layout
from .composer import Song, score
from .core import AudioCodec, ModelConfig
from .hints import HINTED_DRUMS, THRESHOLD, neutral
from .lessons import GAINS
from .network import MODEL_CONFIG

GROUP = 5  # frames per code
LEVELS = torch.tensor(MODEL_CONFIG["fsq_input_levels"])
HARMONIES = ((0,), (0, 4, 7), (0, 3, 7))  # semitones over the note they are named by
HEARD = 0.15  # how far heard latents are off
RATE, SEED = 2e-3, 13
CHORDS = slice(layout.CHORD_START, layout.CHORD_START + layout.PITCHES)
BASSES = slice(layout.BASS_START, layout.BASS_START + layout.PITCHES)


def harmony_table() -> Tensor:
    """Every harmony as its twelve pitch classes, the empty one first: [37, 12]."""
    table = torch.zeros(1 + len(HARMONIES) * layout.PITCHES, layout.PITCHES)
    for kind, steps in enumerate(HARMONIES):
        for root in range(layout.PITCHES):
            table[1 + kind * layout.PITCHES + root, [(root + step) % layout.PITCHES for step in steps]] = 1
    return table


def digits(groups: Tensor) -> Tensor:
    """What groups of frames [G, 5, 64] of a clean score are spelt as: [G, 6]."""
    struck = groups > THRESHOLD
    leads = struck[:, :, : layout.CHORD_START].unflatten(2, (len(layout.LEADS), layout.PITCHES)).any(2).any(1)
    lead = torch.where(leads.any(1), 1 + leads.int().argmax(1), 0)
    harmony = (
        struck[:, :, CHORDS].any(1).float() @ (2 * harmony_table().T - 1) - harmony_table().sum(1)
    ).argmax(1)
    drums = (struck[:, :, list(HINTED_DRUMS)].any(1) * torch.tensor([1, 2, 4])).sum(1)
    frame = struck[:, :, : layout.CRASH].any(2).int().argmax(1)
    return torch.stack((lead % 8, harmony % 8, drums, frame, harmony // 8, lead // 8), 1)


def numbers(digits: Tensor) -> Tensor:
    """Digits as the quantizer's numbers between -1 and 1."""
    return 2 * digits / (LEVELS - 1) - 1


def groups_of_songs(rng: np.random.Generator, songs: int) -> Tensor:
    """Groups cut out of songs at any place: [G, 5, 64]."""
    frames = 60 * GROUP
    rolls = [score(Song.drawn(rng), int(rng.integers(1000)), frames) for _ in range(songs)]
    return torch.from_numpy(np.concatenate(rolls)).unflatten(0, (-1, GROUP))


def groups_at_random(rng: np.random.Generator, count: int) -> Tensor:
    """Groups with anything in them that a code can say, and a bass note that it cannot."""
    groups, table = torch.zeros(count, GROUP, layout.CHANNELS), harmony_table()
    at, rows = torch.from_numpy(rng.integers(GROUP, size=count)), torch.arange(count)
    groups[rows, at, CHORDS] = layout.STRIKE * table[torch.from_numpy(rng.integers(len(table), size=count))]
    for start, width, share in ((0, layout.CHORD_START, 0.7), (layout.BASS_START, layout.PITCHES, 0.5)):
        played = torch.from_numpy(rng.random(count) < share)
        groups[rows, at, start + torch.from_numpy(rng.integers(width, size=count))] = layout.STRIKE * played
    drums = torch.from_numpy(rng.random((count, 4)) < 0.4)
    groups[rows, at, layout.KICK :] = layout.STRIKE * drums
    return groups


def begun() -> AudioCodec:
    """The untrained networks, started so that every digit varies."""
    codec = AudioCodec(ModelConfig.from_json(MODEL_CONFIG), nn)  # type: ignore[arg-type]
    quantizer = codec.tokenizer.quantizer
    for linear in (quantizer.project_in, quantizer.project_out):
        nn.init.normal_(linear.weight, std=1 / math.sqrt(linear.weight.shape[1]))
    nn.init.normal_(codec.tokenizer.attention_pooler.special_token, std=0.02)
    nn.init.normal_(codec.detokenizer.special_tokens)
    return codec


def spelt(codec: AudioCodec, groups: Tensor) -> Tensor:
    """The six numbers before they are rounded: [G, 6]."""
    tokenizer = codec.tokenizer
    raw = tokenizer.quantizer.project_in(tokenizer.attention_pooler(tokenizer.audio_acoustic_proj(groups)))
    bound = 1 + 1 / (LEVELS - 1)
    return (raw / bound).tanh() * bound


def losses(codec: AudioCodec, groups: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
    """Squared error of the digits in steps, and of the hints."""
    wanted = numbers(digits(groups))
    spelling = ((spelt(codec, heard) - wanted) * (LEVELS - 1) / 2).square().mean()
    hints = codec.detokenizer(codec.tokenizer.quantizer.project_out(wanted)[:, None])
    target = torch.from_numpy(neutral(groups.flatten(0, 1).numpy())).unflatten(0, (-1, GROUP))
    return spelling, F.mse_loss(hints, target)


def learn(codec: AudioCodec, steps: int, batch: int = 256) -> None:
    """Both networks at once, on as many songs as chance groups."""
    rng = np.random.default_rng(SEED)
    optimiser = torch.optim.AdamW(codec.parameters(), lr=RATE, weight_decay=0.0)
    for step in range(steps):
        groups = torch.cat((groups_of_songs(rng, 2)[: batch // 2], groups_at_random(rng, batch // 2)))
        gains = torch.from_numpy(np.exp(rng.uniform(*np.log(GAINS), (len(groups), 1, 1)))).float()
        heard = gains * groups + HEARD * torch.randn_like(groups)
        spelling, hints = losses(codec, groups, heard)
        (spelling + hints).backward()
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1, step / 50) * (1 - step / steps)
        nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if step % 100 == 0:
            print(f"step {step}  digits {spelling:.4f}  hints {hints:.4f}", flush=True)


@torch.no_grad()
def report(codec: AudioCodec) -> str:
    """How often whole codes are right, and how near the hints are, on songs that were not seen."""
    groups = groups_of_songs(np.random.default_rng(SEED + 1), 40)
    heard = groups + HEARD * torch.randn_like(groups)
    silence = torch.zeros(1, GROUP, layout.CHANNELS)
    codes = codec.encode(heard.flatten(0, 1)[None], silence)[0]
    right = (
        torch.isclose(codec.tokenizer.quantizer.values(codes), numbers(digits(groups))).all(1).float().mean()
    )
    hints = codec.hints(codes[None], torch.float32)[0].numpy()
    target = neutral(groups.flatten(0, 1).numpy())
    agree = ((hints > THRESHOLD) == (target > THRESHOLD)).all(1).mean()
    return f"codes right {right:.4f}, frames of hints right {agree:.4f}, rms {np.sqrt(np.square(hints - target).mean()):.3f}"


def main() -> None:
    """Learn from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("state", type=Path)
    parser.add_argument("--steps", type=int, default=1500)
    given = parser.parse_args()
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    codec = begun()
    learn(codec, given.steps)
    torch.save(codec.state_dict(), given.state)
    print(report(codec))


if __name__ == "__main__":
    main()
