"""Whole songs from words to sound: their time, and the memory they take, whole and under a cap."""

import gc
from collections.abc import Iterator
from typing import Any

import torch

from acestep_core.errors import is_full
from benchmarks.bench_song import Chain
from benchmarks.cards import networks
from benchmarks.cards.sizes import Sizes, size
from benchmarks.harness import Row, device, in_fresh_process, resident_bytes, timed

GIB = 1 << 30


def rows(sizes: Sizes, quick: bool) -> Iterator[Row]:
    """Time of each length, everything on the card."""
    chain = networks.chain(sizes)
    for seconds in sizes.songs:
        spread = timed(lambda seconds=seconds: chain.song(seconds), quick)
        details = {"seconds": vars(spread)}
        yield Row(f"song of {seconds:g} s", spread.median, "s", details=details, more_is_better=False)


def memory_rows(tiny: bool) -> Iterator[Row]:
    """The most that a song takes, each in a process of its own: everything on the card, then under each cap."""
    sizes = size(tiny)
    longest, capped = sizes.songs[-1], sizes.budget_seconds
    yield peak_row(
        f"song of {longest:g} s, memory", in_fresh_process("cards.songs", "peak", tiny, longest, 0)
    )
    if not can_cap():
        return
    for budget in sizes.budgets:
        found = in_fresh_process("cards.songs", "peak", tiny, capped, budget)
        yield peak_row(f"song of {capped:g} s, one network at a time, under {budget} GiB", found, budget)


def peak_row(item: str, found: dict[str, Any], budget: int | None = None) -> Row:
    """What was taken; a song that did not fit says so in its name."""
    failed = "" if found["fits"] else ": does not fit"
    bound = budget if found["fits"] else None
    return Row(f"{item}{failed}", found["gib"], "GiB", bound, more_is_better=False)


def peak(tiny: bool, seconds: float, budget: int) -> dict[str, Any]:
    """Of a song in this process. budget: GiB that the card may give, networks taking turns on it; 0: no cap."""
    sizes = size(tiny)
    try:
        if budget:
            cap(budget * GIB)
        chain = networks.chain(sizes, where="cpu" if budget else None)
        sing_in_turns(chain, seconds) if budget else chain.song(seconds)
    except (RuntimeError, MemoryError) as fault:
        if not is_full(fault):
            raise
        return {"fits": False, "gib": taken() / GIB}
    return {"fits": True, "gib": taken() / GIB}


def sing_in_turns(chain: Chain, seconds: float) -> None:
    """As ComfyUI does where the card is small: each network comes for its work, and leaves it."""
    card, conditioner = torch.device(device()), chain.conditioner
    turns = (
        (conditioner.text_encoder, conditioner.condition_encoder),
        (chain.sampler.transformer,),
        (chain.vae,),
    )
    words, latents, sound = (Turn(members, card) for members in turns)
    with torch.inference_mode():
        with words:
            condition = chain.condition(seconds)
        with latents:
            found = chain.played(condition, seconds)
        with sound:
            chain.decoded(found)


class Turn:
    """Networks that are on the card inside of the block, and on the CPU after it."""

    def __init__(self, members: tuple[torch.nn.Module, ...], card: torch.device) -> None:
        self._members, self._card = members, card

    def __enter__(self) -> None:
        for network in self._members:
            network.to(self._card)

    def __exit__(self, *_: object) -> None:
        for network in self._members:
            network.to("cpu")


def memory_of() -> Any:
    """The module of torch that knows the device's memory; None for CPUs."""
    return {"cuda": torch.cuda, "xpu": torch.xpu, "mps": torch.mps}.get(torch.device(device()).type)


def can_cap() -> bool:
    """Whether torch can limit what this process takes of the device."""
    return hasattr(memory_of(), "set_per_process_memory_fraction")


def cap(most: int) -> None:
    """Let this process take no more of the device than that; a card that is smaller stays as it is."""
    known = memory_of()
    whole = known.recommended_max_memory() if known is torch.mps else known.mem_get_info()[1]
    known.set_per_process_memory_fraction(min(1.0, most / whole))


def forget() -> None:
    """Give back what torch keeps of the device's memory, for who comes next."""
    gc.collect()
    if (known := memory_of()) is not None:
        known.empty_cache()


def taken() -> int:
    """Bytes of the device at most so far; of this process on a CPU, now on a device that keeps no record."""
    known = memory_of()
    if known is None:
        return resident_bytes(peak=True)
    if known is torch.mps:
        return int(known.driver_allocated_memory())
    return int(known.max_memory_reserved())
