"""Codes per second of the planner against `transformers.generate` and a loop in the manner of ComfyUI's core."""

import warnings
from collections.abc import Callable, Iterator
from copy import copy, deepcopy
from dataclasses import asdict, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import DynamicCache, LogitsProcessor, LogitsProcessorList, Qwen3Config, Qwen3ForCausalLM

from acestep_core.networks.qwen3 import Qwen3Sizes
from acestep_core.planner.decoding import Decoder
from acestep_core.planner.generation import CodeTokens, Options, Prompts, compose_codes
from acestep_core.planner.int8 import Int8Planner
from acestep_core.planner.network import PlannerNetwork
from acestep_core.planner.token_sampling import SamplingParams
from benchmarks.full_size import filled
from benchmarks.harness import DTYPES, Row, device, race, seconds_of, usual
from support.tiny.shapes import FULL_QWEN

PROMPT, NEGATIVE = 200, 120  # tokens: a caption with lyrics, and the lyrics alone
TOKENS, QUICK_TOKENS = 32, 4
SONG = 150  # codes of a song of 30 s
SONGS, MANY_SONGS = 4, 8
ROWS = 217_204
CODES = range(151_669, 215_669)
SIZES = Qwen3Sizes(**{**FULL_QWEN, "vocab_size": ROWS})
SMALL = replace(SIZES, hidden_size=64, intermediate_size=96, num_hidden_layers=3, head_dim=16)
LARGER = {
    "1.7B": replace(SIZES, hidden_size=2048, intermediate_size=6144),
    "4B": replace(
        SIZES, hidden_size=2560, intermediate_size=9728, num_hidden_layers=36, num_attention_heads=32
    ),
}
PUBLISHED, GREEDY = SamplingParams(), SamplingParams(temperature=0)


class Item(NamedTuple):
    """What is composed, by whom it is composed otherwise, and the least times as fast."""

    name: str
    songs: int
    theirs: Callable[..., object]
    params: SamplingParams
    gate: float | None
    tokens: int = TOKENS


class CodesOnly(LogitsProcessor):
    """Forbids everything but codes."""

    def __call__(self, _: Tensor, scores: Tensor) -> Tensor:
        allowed = torch.full_like(scores, float("-inf"))
        allowed[:, CODES.start : CODES.stop] = 0
        return scores + allowed


def planners(sizes: Qwen3Sizes, dtype: torch.dtype) -> tuple[Any, PlannerNetwork]:
    """The one of transformers and ours on the same tensors."""
    rope = {"rope_type": "default", "rope_theta": sizes.rope_theta}
    config = Qwen3Config(**asdict(sizes), rope_parameters=rope, tie_word_embeddings=True)
    theirs = filled(lambda: Qwen3ForCausalLM(config), dtype)
    theirs.tie_weights()
    for module in theirs.modules():  # its buffers were filled with noise like everything else
        if hasattr(module, "inv_freq"):
            frequencies = sizes.rope_theta ** -(torch.arange(0, sizes.head_dim, 2).float() / sizes.head_dim)
            module.inv_freq = module.original_inv_freq = frequencies.to(device())
    # The last of many states has odd strides, which make the CPU copy the whole head for one product: not compared here.
    theirs.lm_head.register_forward_pre_hook(lambda _, given: (given[0].flatten().view(given[0].shape),))
    theirs.generation_config.update(eos_token_id=None, pad_token_id=0, bos_token_id=None)
    with torch.device("meta"):
        ours = PlannerNetwork(sizes, nn)
    state = {key.removeprefix("model."): weight for key, weight in theirs.state_dict().items()}
    ours.load_state_dict({key: state[key] for key in ours.state_dict()}, assign=True)
    return theirs, ours.requires_grad_(False)


def prompts() -> tuple[list[int], list[int]]:
    """Words without meaning, the same in every run."""
    words = torch.randint(1_000, 150_000, (PROMPT + NEGATIVE,), generator=torch.Generator().manual_seed(0))
    return words[:PROMPT].tolist(), words[PROMPT:].tolist()


def composed(network: PlannerNetwork, songs: int, tokens: int, params: SamplingParams) -> list[Tensor]:
    """Ours."""
    options = Options(params, range(songs))
    return compose_codes(network, Prompts(*prompts()), CodeTokens(CODES), tokens, options)


def generated(model: Any, songs: int, tokens: int, params: SamplingParams, **more: Any) -> Tensor:
    """All songs in one call of `generate` -> tokens [songs, tokens]."""
    given, away = (torch.tensor([ids] * songs, device=device()) for ids in prompts())
    how = {"do_sample": True, "temperature": params.temperature, "top_p": params.top_p, "top_k": 0}
    drawn = how if params.temperature else {"do_sample": False}
    found = model.generate(
        given,
        attention_mask=torch.ones_like(given),
        negative_prompt_ids=away,
        negative_prompt_attention_mask=torch.ones_like(away),
        guidance_scale=params.cfg,
        max_new_tokens=tokens,
        **drawn,
        **more,
    )
    return found[:, given.shape[1] :]


def generated_in_turn(model: Any, songs: int, tokens: int, params: SamplingParams) -> None:
    """One call after the other."""
    for _ in range(songs):
        generated(model, 1, tokens, params)


def looped(model: Any, songs: int, tokens: int, params: SamplingParams) -> Tensor:
    """Both prompts padded into one batch, an attention mask that grows, logits of the whole vocabulary, a full sort."""
    given, away = prompts()
    pad = len(given) - len(away)
    ids = torch.tensor([given] * songs + [[0] * pad + away] * songs, device=device())
    mask = torch.ones_like(ids)
    mask[songs:, :pad] = 0
    cache, found = DynamicCache(), []
    for _ in range(tokens):
        places = (mask.cumsum(-1) - 1).clamp_(min=0)[:, -ids.shape[1] :]
        answer = model(ids, mask, places, cache, use_cache=True, logits_to_keep=1)
        conditional, unconditional = answer.logits[:, -1].float().chunk(2)
        scores = CodesOnly()(ids, unconditional + params.cfg * (conditional - unconditional))
        found.append(picked(scores, params))
        ids = found[-1].repeat(2, 1)
        mask = torch.cat((mask, mask.new_ones(len(mask), 1)), 1)
    return torch.cat(found, 1)


def picked(scores: Tensor, params: SamplingParams) -> Tensor:
    """One token per row [R, 1] by top-p over everything that is sorted."""
    if not params.temperature:
        return scores.argmax(-1, keepdim=True)
    falling, order = (scores / params.temperature).softmax(-1).sort(descending=True)
    kept = falling.where(falling.cumsum(-1) - falling <= params.top_p, 0)
    return order.gather(1, torch.multinomial(kept, 1))


ITEMS = (
    Item("one song, against generate", 1, generated, PUBLISHED, 2.0),
    Item("one song, likeliest tokens, against generate", 1, generated, GREEDY, None),
    Item("four songs, against four runs of generate", SONGS, generated_in_turn, PUBLISHED, 5.0),
    Item("four songs, against one batch of generate", SONGS, generated, PUBLISHED, 2.0),
    Item("eight songs, against one batch of generate", MANY_SONGS, generated, PUBLISHED, None),
    Item("one song, against a loop like ComfyUI's core", 1, looped, PUBLISHED, None),
    Item("a song of 30 s, against a loop like ComfyUI's core", 1, looped, PUBLISHED, None, SONG),
)


INT8_ITEMS = (
    Item("one song, int8, against a loop like ComfyUI's core", 1, looped, PUBLISHED, 2.0),
    Item("a song of 30 s, int8, against a loop like ComfyUI's core", 1, looped, PUBLISHED, 2.0, SONG),
    Item("eight songs, int8, against one batch of generate", MANY_SONGS, generated, PUBLISHED, None),
)


def assert_equal() -> None:
    """At a small size in fp32 everybody's likeliest codes are the same."""
    theirs, ours = planners(SMALL, torch.float32)
    only = LogitsProcessorList([CodesOnly()])
    expected = torch.stack(composed(ours, 2, 12, GREEDY)).to(device()) + CODES.start
    assert len(expected.unique()) > 4, "the comparison says nothing"
    for answer in (
        generated(theirs, 2, 12, GREEDY, logits_processor=only),
        looped(theirs, 2, 12, GREEDY),
    ):
        assert torch.equal(answer, expected), "other codes"


def measured(item: Item, theirs: Any, ours: PlannerNetwork, quick: bool) -> Row:
    """Race on the same number of codes."""
    tokens = QUICK_TOKENS if quick else item.tokens
    shape = (item.songs, tokens, item.params)
    found = race(partial(composed, ours, *shape), partial(item.theirs, theirs, *shape), quick)
    rates = {"ours_per_s": found.ours.median, "theirs_per_s": found.theirs.median}
    rates = {name: item.songs * tokens / seconds for name, seconds in rates.items()}
    name = f"planner 0.6B, {usual()}, {item.name} ({rates['ours_per_s']:.1f} codes/s)"
    return Row.of_race(name, found, item.gate, tokens=tokens, **rates)


def sanity(exact: PlannerNetwork, rounded: PlannerNetwork, name: str) -> Iterator[Row]:
    """What rounding does to codes that the exact planner likes: how often its favourite stays, and what they lose."""
    count = 64
    codes = composed(exact, 1, count, PUBLISHED)[0]
    one, other = (read(network, codes) for network in (exact, rounded))
    same = (one.argmax(-1) == other.argmax(-1)).float().mean().item()
    picked = codes[:, None].to(one.device)
    lost = (one.gather(1, picked) - other.gather(1, picked)).mean().item()
    spread = (one.gather(1, picked) - other.gather(1, picked)).std().item()
    yield Row(f"planner 0.6B, {name}: share of {count} codes whose likeliest is the same", same, "")
    details = {"std": spread}
    yield Row(
        f"planner 0.6B, {name}: log-likelihood lost by a code, nat", lost, "", None, 0.01, False, details
    )


def read(network: PlannerNetwork, codes: Tensor) -> Tensor:
    """Log-likelihoods [N, codes] of every code where these codes are given one after another."""
    decoder = Decoder(network, prompts()[:1], 1, len(codes))
    head = network.head(slice(CODES.start, CODES.stop), decoder.hidden.device, decoder.hidden.dtype)
    found = list[Tensor]()
    for code in codes:
        found.append(head(decoder.hidden).float().log_softmax(-1))
        decoder.feed(torch.tensor([[CODES.start + int(code)]], device=decoder.hidden.device))
    return torch.cat(found)


def rounded(network: PlannerNetwork) -> Int8Planner:
    """A planner in bytes, with the same table."""
    twin = copy(network)
    twin._modules = {**network._modules, "layers": deepcopy(network.layers)}
    return Int8Planner(twin)


def bandwidth(numbers: int = 1 << 30) -> float:
    """Bytes per second that the device reads, from a sum over much memory."""
    block = torch.ones(numbers, dtype=DTYPES[usual()], device=device())
    return block.nbytes / min(seconds_of(block.sum) for _ in range(5))


def bytes_per_code(sizes: Qwen3Sizes) -> int:
    """Weights that a code reads at least: every layer once, and the output rows of the codes."""
    with torch.device("meta"):
        layers = PlannerNetwork(sizes, nn).layers
    return DTYPES[usual()].itemsize * (
        sum(weight.numel() for weight in layers.parameters()) + len(CODES) * sizes.hidden_size
    )


def share_of_limit(name: str, sizes: Qwen3Sizes, tokens: int, gate: float | None = 0.6) -> Row:
    """Codes per second over the bound that reading each weight once per code sets."""
    ours = filled(lambda: PlannerNetwork(sizes, nn), DTYPES[usual()])
    speed = bandwidth()
    limit = speed / bytes_per_code(sizes)
    composed(ours, 1, tokens, PUBLISHED)
    short, long = (
        min(seconds_of(partial(composed, ours, 1, count, PUBLISHED)) for _ in range(3))
        for count in (tokens, 2 * tokens)
    )  # their difference is free of prompts and recordings
    rate = tokens / (long - short)
    details = {"per_s": rate, "bytes_per_s": speed}
    return Row(
        f"planner {name}, {usual()}, share of the memory's limit", rate / limit, "", gate, details=details
    )


def counted(name: str, sizes: Qwen3Sizes, measured: Row) -> Row:
    """Codes per second of a planner that is not run here: those of another, for so many times the weights to read."""
    rate = measured.details["per_s"] * bytes_per_code(SIZES) / bytes_per_code(sizes)
    return Row(f"planner {name}, {usual()}, one song, counted from 0.6B", rate, "codes/s")


@torch.inference_mode()
def run(quick: bool) -> list[Row]:
    """Every item, and the share of what the memory gives; the larger planners are run on a CUDA device, else 1.7B is counted."""
    warnings.filterwarnings("ignore", message=".*generation flags.*")
    assert_equal()
    tokens = QUICK_TOKENS if quick else TOKENS
    pair = planners(SIZES, DTYPES[usual()])
    many = usual() == "bf16"  # otherwise several songs of theirs take half an hour
    rows = [measured(item, *pair, quick) for item in ITEMS if many or item.songs == 1]
    if device().startswith("cuda"):
        return rows + [share_of_limit(name, sizes, 100) for name, sizes in LARGER.items()]
    share = share_of_limit("0.6B", SIZES, tokens, gate=None)
    rows += [share, counted("1.7B", LARGER["1.7B"], share)]
    if device() != "cpu":
        return rows  # in bytes it runs on processors alone
    small = rounded(pair[1])
    rows += [measured(item, pair[0], small, quick) for item in INT8_ITEMS if many or item.songs == 1]
    return [*rows, *sanity(pair[1], small, "int8")]
