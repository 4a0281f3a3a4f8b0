"""A real ComfyUI server: started on a free port with folders of its own, spoken to over HTTP and WebSocket."""

import asyncio
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import aiohttp

from support.comfyui import fetch
from support.comfyui.graphs import Graph, Prompt

FAILED_IMPORT = re.compile(r".*(?:Cannot import .* module for custom nodes|IMPORT FAILED).*")
LAST_EVENTS = {"execution_success", "execution_error", "execution_interrupted"}
PREVIEW, CAPTION = 1, 3  # of the kinds of binary messages
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.InstalledVersion": "1.32.9"}
OnEvent = Callable[[str, Mapping[str, Any]], None]


class RefusedError(Exception):
    """The server did not take a prompt; the answer's `error` and `node_errors` are in `answer`."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__(json.dumps(answer))
        self.answer = answer


@dataclass(frozen=True)
class Finished:
    """A prompt that ran to its end, whichever that was."""

    id: str
    last: str  # execution_success, execution_error or execution_interrupted
    events: tuple[tuple[str, Mapping[str, Any]], ...]
    history: Mapping[str, Any]
    node_errors: Mapping[str, Any] = field(default_factory=dict)
    previews: tuple[bytes, ...] = ()  # pictures shown while it ran, each a whole JPEG or PNG
    captions: tuple[tuple[str, str], ...] = ()  # nodes, and lines of text shown under them

    @property
    def ui(self) -> Mapping[str, Any]:
        return self.history["outputs"]

    @property
    def error(self) -> str:
        """The sentence that the failing node shows."""
        return next(
            (data["exception_message"].strip() for e, data in self.events if e == "execution_error"), ""
        )


class Server:
    """`with Server(comfyui, base) as server:`; stops when the block ends."""

    def __init__(self, comfyui: Path, base: Path, *options: str, cpu: bool = True, port: int = 0) -> None:
        """options: more of main.py's, such as "--novram". cpu: leave a GPU alone. port 0: any free one."""
        self.base, self.log_file, self.port = base, base / "server.log", port or free_port()
        (base / "user/default/comfy.settings.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
        self._command = [
            *(sys.executable, str(comfyui / "main.py"), *(["--cpu"] if cpu else []), "--disable-api-nodes"),
            *("--base-directory", str(base), "--port", str(self.port), "--disable-auto-launch"),
            *("--database-url", f"sqlite:///{base / 'comfyui.db'}", *options),
        ]
        self._bytecode = fetch.bytecode(comfyui)
        self._info: dict[str, Any] = {}

    def __enter__(self) -> Self:
        environment = {**os.environ, **self._bytecode, "PYTHONPATH": ""}
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=subprocess.STDOUT, cwd=self.base, env=environment
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait_until_ready(self, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"ComfyUI ended with {self._process.returncode}:\n{self.log()}")
            try:
                self.get("/system_stats")
                return
            except (URLError, ConnectionError):
                time.sleep(0.1)
        raise TimeoutError(f"ComfyUI does not answer:\n{self.log()}")

    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def failed_imports(self) -> list[str]:
        """What the log says of packs that could not be imported; the server runs on regardless."""
        return FAILED_IMPORT.findall(self.log())

    def get(self, path: str) -> Any:
        return json.loads(self.read(path))

    def read(self, path: str) -> bytes:
        with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return answer.read()

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = json.dumps(body or {}).encode()
        request = Request(f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text.strip() else None

    def object_info(self) -> dict[str, Any]:
        """Every node, as /object_info shows it now."""
        self._info = self.get("/object_info")
        return self._info

    def graph(self) -> Graph:
        return Graph((self._info or self.object_info()).__getitem__)

    def queue(
        self, graph: Graph | Prompt, client: str = "", workflow: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Hand in a prompt; the answer has prompt_id, number and node_errors."""
        prompt = graph.prompt if isinstance(graph, Graph) else graph
        extra = {"extra_pnginfo": {"workflow": workflow}} if workflow else {}
        try:
            return self.post("/prompt", {"prompt": prompt, "client_id": client, "extra_data": extra})
        except HTTPError as refusal:
            raise RefusedError(json.load(refusal)) from None

    def run(
        self, graph: Graph | Prompt, on_event: OnEvent | None = None, seconds: float = 900, **words: Any
    ) -> Finished:
        """Hand in a prompt and follow it to its end, over a socket of its own; on_event may interrupt."""
        followed = self._run(graph, on_event or (lambda event, data: None), words)
        return asyncio.run(asyncio.wait_for(followed, seconds))

    async def _run(self, graph: Graph | Prompt, on_event: OnEvent, words: Mapping[str, Any]) -> Finished:
        client, events, previews, captions = uuid.uuid4().hex, [], [], []
        url = f"http://127.0.0.1:{self.port}/ws?clientId={client}"
        async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket_:
            answer = await asyncio.to_thread(self.queue, graph, client, **words)
            async for message in socket_:
                if message.type is aiohttp.WSMsgType.BINARY:
                    # the second number is a picture's format or the length of a node's name
                    kind, more = struct.unpack(">II", message.data[:8])
                    previews += [message.data[8:]] if kind == PREVIEW else []
                    captions += [split_name(message.data[8:], more)] if kind == CAPTION else []
                if message.type is not aiohttp.WSMsgType.TEXT:
                    continue
                told = json.loads(message.data)
                event, data = told["type"], told["data"]
                if data.get("prompt_id") not in (None, answer["prompt_id"]):
                    continue
                events.append((event, data))
                await asyncio.to_thread(on_event, event, data)
                if event in LAST_EVENTS:
                    break
        history = await asyncio.to_thread(self.history, answer["prompt_id"])
        return Finished(
            *(answer["prompt_id"], events[-1][0], tuple(events), history),
            node_errors=answer["node_errors"],
            previews=tuple(previews),
            captions=tuple(captions),
        )

    def history(self, prompt_id: str, seconds: float = 60) -> dict[str, Any]:
        """The record of a prompt that has ended, which appears a moment after its last event."""
        deadline = time.monotonic() + seconds
        while not (found := self.get(f"/history/{prompt_id}")):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{prompt_id} does not end:\n{self.log()[-4000:]}")
            time.sleep(0.02)
        return found[prompt_id]

    def interrupt(self, prompt_id: str | None = None) -> None:
        """Press Stop: for this prompt if it runs, or for whichever does."""
        self.post("/interrupt", {"prompt_id": prompt_id} if prompt_id else {})

    def clear_queue(self) -> None:
        self.post("/queue", {"clear": True})

    def free(self) -> None:
        """Unload the models and forget the cache, before anything else runs."""
        self.post("/free", {"unload_models": True, "free_memory": True})
        blank = self.graph()
        blank.add("PreviewAny", source=blank.add("EmptyLatentImage", width=16, height=16)[0])
        self.run(blank)  # a prompt may overtake the order, which is carried out after it at the latest

    def view(self, entry: Mapping[str, str]) -> bytes:
        """The bytes of a file that an output node listed."""
        return self.read(f"/view?{urlencode({k: entry[k] for k in ('filename', 'subfolder', 'type')})}")


def split_name(message: bytes, length: int) -> tuple[str, str]:
    """The node that a line of text belongs to, and the text."""
    return message[:length].decode(), message[length:].decode()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
