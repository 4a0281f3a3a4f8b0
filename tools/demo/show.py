"""A running ComfyUI with the pack, a tiny model that plays, a recording, and a song: `make demo`.

ComfyUI's code is only read; everything is written below .host/demo, or the folder ACEGRAPH_DEMO. ONCE=1 ends after the
song, PORT chooses the port.
"""

import io
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import aiohttp
import numpy as np
import soundfile
import torch

from support.comfyui import api_form, fetch
from support.comfyui import host as comfy_host
from support.comfyui.server import RefusedError, Server, free_port
from tools.demo.base import furnished

BASE = Path(os.environ.get("ACEGRAPH_DEMO") or fetch.HOST / "demo").expanduser().resolve()
WORKFLOW = comfy_host.PACK / "example_workflows" / "01 Song.json"
USUAL_PORT = 8188
LONGEST = 3600  # seconds of waiting for the song; a real model on a slow processor takes its time
FULL = "\033[1m{}\033[0m" if sys.stdout.isatty() else "{}"
REAL = """It was played by a toy of 15 MB that this project trained on synthetic tunes; the real model sings. For that one, put
  acestep_v1.5_turbo.safetensors    into {models}/diffusion_models
  qwen_0.6b_ace15.safetensors       into {models}/text_encoders
  ace_1.5_vae.safetensors           into {models}/vae
in place of the small files there (the notes in the workflows link to them), and start again. Your own recordings do not
pass through the toy; the one that the templates bring and songs that it has made do."""


def is_free(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def chosen_port() -> int:
    """PORT; without it ComfyUI's usual one, or any other while that is taken."""
    wanted = os.environ.get("PORT", "")
    if not wanted:
        return USUAL_PORT if is_free(USUAL_PORT) else free_port()
    if not wanted.isdecimal() or not 0 < int(wanted) < 65536:
        sys.exit(
            f"PORT is {wanted!r}, which is no port. Choose a number from 1024 to 65535, or leave PORT out."
        )
    if not is_free(int(wanted)):
        sys.exit(f"Port {wanted} is in use. Choose another one, or leave PORT out.")
    return int(wanted)


def make_song(server: Server) -> Path:
    """Run the text2music workflow; the file that it saved."""
    workflow = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    prompt = api_form.prompt_of(workflow, server.object_info().__getitem__)
    try:
        done = server.run(prompt, seconds=LONGEST, workflow=workflow)
    except RefusedError as refusal:
        raise RuntimeError(f"ComfyUI did not take the workflow, {refusal}") from None
    if done.last != "execution_success":
        raise RuntimeError(done.error or done.last)
    entries = [entry for shown in done.ui.values() for entry in shown.get("audio", ())]
    if len(entries) != 1:
        raise RuntimeError(f"the workflow saved {len(entries)} songs instead of one")
    (entry,) = entries
    return server.base / entry["type"] / entry["subfolder"] / entry["filename"]


def described(song: Path) -> str:
    """Length and level of a sound file."""
    samples, rate = soundfile.read(io.BytesIO(song.read_bytes()), always_2d=True)
    peak, power = np.abs(samples).max(), np.sqrt((samples**2).mean())
    levels = f"peak {20 * np.log10(peak):.1f} dBFS, average {20 * np.log10(power):.1f} dBFS"
    return f"{len(samples) / rate:.2f} s, {samples.shape[1]} channels, {rate} Hz, {levels}"


def say(text: str) -> None:
    print(text, flush=True)


def sing(server: Server) -> str:
    """Make the song and say where it is; the answer is why there is none, in a sentence or two, or empty."""
    say(f"Running {WORKFLOW.relative_to(comfy_host.PACK)} ...")
    try:
        song = make_song(server)
        say(f"\nThe song:    {FULL.format(song)}\n             {described(song)}")
    except (aiohttp.ClientError, OSError, RuntimeError, ValueError) as error:
        if isinstance(error, TimeoutError) and not str(error):
            return f"The song was not finished after {LONGEST} s. ComfyUI's log is {server.log_file}."
        reason = str(error).partition("\n")[0].rstrip(".:") or type(error).__name__
        return f"The song could not be made: {reason}. ComfyUI's log is {server.log_file}."
    say(f"\n{REAL.format(models=server.base / 'models')}")
    return ""


def on_signals(action: Callable[..., None]) -> None:
    """What Ctrl-C and SIGTERM do; a script's background jobs are born deaf to the first."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, action)


def end(*_: object) -> None:
    """Begin to stop the server; a second Ctrl-C does not leave it behind."""
    on_signals(lambda *_: None)
    raise KeyboardInterrupt


def frontend() -> tuple[str, ...]:
    """The newest one, which knows forms; a ComfyUI of the user's keeps its own."""
    newest = fetch.frontend_dir()
    theirs = "COMFYUI_DIR" in os.environ or not (newest / "index.html").is_file()
    return () if theirs else ("--front-end-root", str(newest))


def show(port: int) -> None:
    """Start, sing, and stay until Ctrl-C or SIGTERM."""
    on_signals(end)
    say("Starting ComfyUI ...")
    has_gpu = torch.accelerator.is_available()
    with Server(fetch.comfyui_dir(), furnished(BASE), *frontend(), cpu=not has_gpu, port=port) as server:
        if failed := server.failed_imports():
            sys.exit(f"ComfyUI could not import the pack: {failed[0]}. Its log is {server.log_file}.")
        failure = sing(server)
        if os.environ.get("ONCE", "") not in ("", "0"):
            sys.exit(failure or None)
        if failure:
            say(f"\n{failure}")
        if server.is_running():
            say(f"\nThe editor:  {FULL.format(f'http://127.0.0.1:{port}/?acestep={quote(WORKFLOW.stem)}')}")
            say("             The others are under Templates, acestep-graph. Ctrl-C ends it.")
        while server.is_running():
            time.sleep(0.5)
        sys.exit(f"ComfyUI has ended by itself. Its log is {server.log_file}.")


def main() -> None:
    """The demo; nothing that can be expected ends in a traceback."""
    if not (fetch.comfyui_dir() / "main.py").is_file():
        sys.exit(f"{fetch.comfyui_dir()} holds no ComfyUI. Run make demo, or correct COMFYUI_DIR.")
    try:
        show(chosen_port())
    except KeyboardInterrupt:
        say("\nThe demo has ended.")
    except (OSError, RuntimeError) as error:
        sys.exit(f"The demo cannot go on: {error}")


if __name__ == "__main__":
    main()
