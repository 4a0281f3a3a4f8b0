"""Everything of the pack that reads what strangers made, each with a case of its own for a pair of dice."""

import asyncio
import io
import random
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import torch
from aiohttp.test_utils import make_mocked_request

from tools.hostile import mutations
from tools.hostile.adapters import adapters
from tools.hostile.kit import Kit, Reader, Spoilt, planner_of

MOST_SAMPLES = 12_000  # of a sound that are encoded
WAVELESS = {404, 413, 415}  # what a page is answered where no wave is drawn


def configs(kit: Kit, dice: random.Random) -> None:
    official = kit.place / "official"
    folder = dice.choice(
        (
            *(official / name for name in ("acestep-v15-turbo", "vae", "Qwen3-Embedding-0.6B")),
            planner_of(official),
        )
    )
    with kit.spoilt(folder / "config.json", mutations.json_of, dice):
        kit.core.checkpoints.kinds.kind_of_folder(folder)
        if "lm" in folder.name:
            kit.core.checkpoints.planner_files.open_planner(folder)
        else:
            opened(kit, official / "acestep-v15-turbo")


def pipelines(kit: Kit, dice: random.Random) -> None:
    """What diffusers writes: an index of the components, and a config in each."""
    folder = kit.place / "diffusers"
    path = dice.choice(sorted((*folder.glob("*.json"), *folder.glob("*/*config.json"))))
    with kit.spoilt(path, mutations.json_of, dice):
        kit.core.checkpoints.kinds.kind_of_folder(folder)
        kit.core.checkpoints.kinds.is_whole(folder)
        *_, checkpoint = opened(kit, folder)
        kit.core.checkpoints.load.load_tokenizer(checkpoint).ids("la la")


def shards(kit: Kit, dice: random.Random) -> None:
    """Which of several files holds what."""
    folder = kit.place / "sharded" / "acestep-v15-turbo"
    with kit.spoilt(folder / "model.safetensors.index.json", mutations.json_of, dice):
        *_, checkpoint = opened(kit, folder)
        kit.core.checkpoints.load.load_codec(checkpoint)


def opened(kit: Kit, path: Path) -> Any:
    """A checkpoint of which every part was asked for."""
    checkpoint = kit.core.checkpoints.layouts.open_checkpoint(path)
    return checkpoint.model_files(), checkpoint.text_files(), checkpoint.vae_files(), checkpoint


def weights(kit: Kit, dice: random.Random) -> None:
    load, finite = kit.core.checkpoints.load, kit.core.finite
    files = sorted((kit.place / "comfy").glob("*/*.safetensors"))
    path = dice.choice([file for file in files if file.parent.name != "checkpoints"])
    with kit.spoilt(path, mutations.safetensors_of, dice):
        if path.parent.name == "diffusion_models":
            *_, checkpoint = opened_split(kit, path)
            network = dice.choice((load.load_transformer, load.load_condition_encoder, load.load_codec))(
                checkpoint
            )
        elif path.parent.name == "vae":
            network = load.load_vae(opened_split(kit, vae=path)[-1])
        elif path.name == kit.core.checkpoints.planner_files.PLANNER_FILE:
            planner_files = kit.core.checkpoints.planner_files
            network = planner_files.load_planner(planner_files.open_planner(path), load.PLAIN)
        else:
            network = load.load_text_encoder(opened_split(kit, text=path)[-1])
        finite.refuse_broken(network.named_parameters(), "The network")  # as at its first use


def opened_split(
    kit: Kit, model: Path | None = None, text: Path | None = None, vae: Path | None = None
) -> Any:
    """A checkpoint out of single files."""
    comfy = kit.place / "comfy"
    model = model or next((comfy / "diffusion_models").iterdir())
    text = text or comfy / "text_encoders" / "qwen_0.6b_ace15.safetensors"
    vae = vae or comfy / "vae" / "ace_1.5_vae.safetensors"
    checkpoint = kit.core.checkpoints.layouts.open_checkpoint(model, "turbo", text, vae)
    return (checkpoint.model_files(), checkpoint)


def tokenizers(kit: Kit, dice: random.Random) -> None:
    folder = kit.place / "official" / "Qwen3-Embedding-0.6B"
    with kit.spoilt(folder / "tokenizer.json", mutations.json_of, dice):
        kit.core.text.tokenizer.TextTokenizer.from_folder(folder).ids("la la")


def silences(kit: Kit, dice: random.Random) -> None:
    path = kit.place / "official" / "acestep-v15-turbo" / "silence_latent.pt"
    if dice.random() < 0.5:
        content = mutations.turned(path.read_bytes(), dice)
    else:
        stored = io.BytesIO()
        torch.save(mutations.tensor(dice), stored)
        content = stored.getvalue()
    with Spoilt(path, content):
        found = kit.core.checkpoints.stored_silence.read_silence(path, 64)
    assert found.isfinite().all(), "NaN was accepted"


def codes(kit: Kit, dice: random.Random) -> None:
    text = kit.core.text.code_text
    songs = [
        [dice.randrange(64_000) for _ in range(dice.randrange(1, 9))] for _ in range(dice.randrange(1, 4))
    ]
    if dice.random() < 0.5:
        text.codes_from_json(mutations.json_of(text.codes_to_json(songs).encode(), dice), "codes.json")
    else:
        text.parse_songs(mutations.turned(text.format_songs(songs).encode(), dice).decode("utf-8", "replace"))


def sounds(kit: Kit, dice: random.Random) -> None:
    ending, content = dice.choice(kit.sounds)
    path = kit.place / f"sound.{ending}"
    path.write_bytes(mutations.turned(content, dice))
    if dice.random() < 0.5:
        kit.core.sound.audio_file.to_model_rate(kit.core.sound.audio_file.read_audio(path))
        return
    try:
        waveform, rate = kit.stage.module("comfy_extras.nodes_audio").load(str(path))
    except Exception:  # noqa: BLE001  (ComfyUI's Load Audio says what it likes)
        return
    audio = {"waveform": waveform.unsqueeze(0), "sample_rate": rate}
    values = kit.stage.pack.nodes.host.tensor_values.audio("audio", audio)
    found, _ = kit.stage.pack.nodes.wires.tensors.sound_of_audio(values)
    assert found.isfinite().all(), "NaN was accepted"
    encode = next(act for act in kit.stage.acts if act.kind == "AceGraphOobleckEncode")
    short = {**audio, "waveform": audio["waveform"][..., :MOST_SAMPLES]}
    latent, *_ = replace(encode, values={**encode.values, "audio": short})()
    assert latent["samples"].isfinite().all(), "NaN was encoded"


def waves(kit: Kit, dice: random.Random) -> None:
    """What a page asks for before any run: the wave of a sound, or of what is none, or lies elsewhere."""
    recordings, folder = kit.stage.pack.nodes.host.recordings, kit.stage.host.base / "input"
    ending, content = dice.choice(kit.sounds)
    path = folder / f"waves.{ending}"
    path.write_bytes(mutations.turned(content, dice))
    asked = {"filename": path.name, "subfolder": "", "type": "input"}
    if dice.random() < 0.3:
        elsewhere = ("..", "../output", str(path), f"../input/{path.name}", "\0", mutations.text(dice))
        asked[dice.choice(list(asked))] = dice.choice(elsewhere)
    query = urlencode(asked, errors="surrogatepass")
    answer = asyncio.run(recordings.answered(make_mocked_request("GET", f"{recordings.ADDRESS}?{query}")))
    if answer.status in WAVELESS:
        raise kit.core.errors.InvalidAudioError(f"There is no wave: {answer.status}.", "Ask for another.")
    assert answer.status == 200, f"answered {answer.status}"
    assert float(answer.headers[recordings.LENGTH]) >= 0
    drawn = kit.core.sound.peaks.HEADER
    *_, pairs = drawn.unpack_from(answer.body)
    assert len(answer.body) == drawn.size + 2 * pairs, "the wave ends before it should"


def words(kit: Kit, dice: random.Random) -> None:
    core, text = kit.core, mutations.text(dice)
    match dice.randrange(4):
        case 0:
            brief = core.text.prompts.Brief(text, mutations.text(dice), dice.choice(("en", "xx", text)))
            core.text.prompts.caption_prompt("Fill the audio.", brief)
            core.text.prompts.lyrics_prompt(brief)
        case 1:
            core.planner.chain_of_thought.read(text)
        case 2:
            core.adapters.scales.layers_of(text)
        case 3:
            kit.stage.pack.nodes.host.output_files.inside(text)


def wires(kit: Kit, dice: random.Random) -> None:
    node = dice.choice(kit.stage.pack.nodes.NODES)
    inputs = kit.stage.pack.nodes.host.node.inputs_of(node)
    name = dice.choice(list(inputs))
    hostile = {
        "LATENT": lambda: {
            "samples": mutations.tensor(dice),
            "batch_index": dice.choice((None, [0], "0", [-1], [2**70])),
        },
        "AUDIO": lambda: {
            "waveform": mutations.tensor(dice),
            "sample_rate": dice.choice((48_000, 44_100, *mutations.VALUES)),
        },
        "MASK": lambda: mutations.tensor(dice),
        "SIGMAS": lambda: mutations.tensor(dice),
    }.get(inputs[name].io_type, lambda: dice.choice((*mutations.VALUES, 1, 2.0)))
    taken = kit.stage.pack.nodes.host.values.checked(inputs, {name: hostile()}).get(name)
    found = taken.get("samples", taken.get("waveform")) if isinstance(taken, dict) else taken
    if isinstance(found, torch.Tensor) and inputs[name].io_type != "SIGMAS":
        assert found.isfinite().all(), "NaN was accepted"


def times_and_masks(kit: Kit, dice: random.Random) -> None:
    tensors, values = kit.stage.pack.nodes.wires.tensors, kit.stage.pack.nodes.host.tensor_values
    if dice.random() < 0.5:
        times = values.sigmas("sigmas", mutations.tensor(dice))
        kit.core.sampling.settings.Settings(times=tuple(times.tolist())).resolved(turbo=True)
        return
    mask = values.mask("mask", mutations.tensor(dice))
    found = dice.choice((tensors.mask_of_wire, kit.core.sampling.masks.drawn_mask))(mask, 150)
    assert found.isfinite().all(), "NaN was accepted"


def heads(kit: Kit, dice: random.Random) -> None:
    """Which heads follow the lyrics, typed by somebody or said by a config.json."""
    config = kit.config
    text = mutations.json_of(b'{"0": [1, 2], "3": [0]}', dice).decode("utf-8", "surrogateescape")
    said = mutations.changed({"0": [1, 2], "3": [0]}, dice)
    found = kit.core.analysis.heads.lyric_heads(
        config, *dice.choice(((said, ""), (None, text), (said, text)))
    )
    assert all(0 <= layer < config.num_hidden_layers and listed for layer, listed in found.items())


def orders(kit: Kit, dice: random.Random) -> None:
    """An order of takes, and a place in it."""
    takes = kit.stage.pack.nodes.analysis.pick_take
    text = mutations.json_of(b"[2, 0, 1, 3]", dice).decode("utf-8", "surrogateescape")
    order = takes.order_of(text)
    take = takes.take_at(dice.choice((1, 2, 4096)), order)
    takes.refuse_outside(take, {"latent": 4})
    assert 0 <= take < 4


READERS = (
    Reader("configs and folders", configs, 0.05),
    Reader("folders of diffusers", pipelines, 0.03),
    Reader("shards", shards, 0.03),
    Reader("weights", weights, 0.04),
    Reader("adapters", adapters, 0.1),
    Reader("tokenizers", tokenizers, 0.05),
    Reader("silences", silences, 0.08),
    Reader("codes", codes, 0.12),
    Reader("heads", heads, 0.03),
    Reader("orders", orders, 0.02),
    Reader("sounds", sounds, 0.05),
    Reader("waves", waves, 0.02),
    Reader("words", words, 0.1),
    Reader("wires", wires, 0.18),
    Reader("times and masks", times_and_masks, 0.1),
)
