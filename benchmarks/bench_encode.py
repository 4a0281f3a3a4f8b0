"""Encoding text2music conditions from the second time on, when the timbre of silence is known, against diffusers."""

import torch

from benchmarks.full_size import TURBO, condition_encoders, distance
from benchmarks.harness import DTYPES, Row, device, race, usual

TEXT, LYRICS, TIMBRE = 256, 512, 750
EQUAL = 3e-2


@torch.inference_mode()
def run(quick: bool) -> list[Row]:
    """One item: 256 tokens of caption, 512 of lyrics, no reference."""
    theirs, ours = condition_encoders(TURBO, dtype := DTYPES[usual()])
    generator = torch.Generator().manual_seed(0)
    sizes = ((1, TEXT, 1024), (1, LYRICS, 1024), (1, TIMBRE, 64))
    text, lyrics, silence = (torch.randn(size, generator=generator).to(device(), dtype) for size in sizes)
    seen = [torch.ones(1, count, dtype=torch.bool, device=device()) for count in (TEXT, LYRICS)]
    order = torch.zeros(1, dtype=torch.long, device=device())
    known = ours.timbre(silence)

    def encode_theirs() -> torch.Tensor:
        return theirs(text, seen[0], lyrics, seen[1], silence, order)[0]

    def encode_ours() -> torch.Tensor:
        return ours.join(text, lyrics, known)

    apart = distance(encode_ours(), encode_theirs())
    assert apart <= EQUAL, f"conditions: {apart:.1e} from diffusers, {EQUAL:.1e} is allowed"
    found = race(encode_ours, encode_theirs, quick)
    return [Row.of_race(f"text2music conditions, second run, {usual()}", found, 1.5, 1.7, difference=apart)]
