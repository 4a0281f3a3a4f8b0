"""Runs graphs in which something is wrong, and checks that the failing node says so in words."""

import json
import re
import uuid
from typing import Any, ClassVar

from support.comfyui import task_graphs
from support.comfyui.graphs import Graph, Node, Prompt
from support.comfyui.host import Host, Run, Runner
from support.tiny import adapters as tiny_adapters
from tools.words import snapshot as node_snapshot

NODES = json.loads(node_snapshot.FILE.read_text(encoding="utf-8"))
CODES_FILE = "codes.json"
ERRORS = {"UnsupportedCheckpointError", "InvalidInputError", "InvalidAudioError", "FileError"}


def sockets(*types: str) -> list[tuple[str, str]]:
    """(node, input) of every input of these types."""
    return [
        (node, slot["name"])
        for node, entry in NODES.items()
        for slot in entry["inputs"]
        if slot["type"] in types
    ]


class Given:
    """A node that puts any value on a wire."""

    RETURN_TYPES = (",".join(sorted({slot["type"] for node in NODES.values() for slot in node["inputs"]})),)
    FUNCTION = "give"
    CATEGORY = "tests"
    values: ClassVar[dict[str, Any]] = {}

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802  (ComfyUI's name)
        return {"required": {"key": ("STRING", {})}}

    def give(self, key: str) -> tuple[Any]:
        return (self.values[key],)


def given(graph: Graph, value: Any) -> list[Any]:
    """A link to any value; for tests with the fixture `trial`."""
    key = uuid.uuid4().hex
    Given.values[key] = value
    return graph.add("Given", key=key)[0]


class Trial:
    """One executor for many tests, so that what is right stays cached between them."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._run = Runner(host)
        codes = {
            "format": "ace-step-1.5-codes",
            "version": 1,
            "songs": [[5, 63_999] * (task_graphs.BRIEF_CODES // 2)],
        }
        (host.base / "input" / CODES_FILE).write_text(json.dumps(codes), encoding="utf-8")
        task_graphs.record(host.base / "input")
        task_graphs.record(host.base / "input", task_graphs.BRIEF, task_graphs.BRIEF_RECORDING)
        tiny_adapters.write_for_every_network(host.base / "models" / "loras" / task_graphs.ADAPTER_FILE)
        host.module("nodes").NODE_CLASS_MAPPINGS["Given"] = Given

    def close(self) -> None:
        """Leave ComfyUI as it was."""
        del self._host.module("nodes").NODE_CLASS_MAPPINGS["Given"]
        Given.values.clear()
        self._host.module("comfy.model_management").unload_all_models()

    def run(self, graph: Graph | Prompt) -> Run:
        return self._run(graph)

    def plays(self, graph: Graph | Prompt) -> Run:
        """Run a graph that has nothing wrong."""
        done = self._run(graph)
        assert done.success, done.error or done.refused
        return done

    def plays_a_song(self) -> None:
        """After something went wrong: a short song."""
        graph = self._host.graph()
        task_graphs.text2music(graph, seconds=1.0, steps=1)
        self.plays(graph)

    def plays_everything(self) -> None:
        """After something went wrong in the graph of every node: the same graph with nothing wrong."""
        graph = self._host.graph()
        task_graphs.everything(graph, CODES_FILE)
        self.plays(graph)

    def fails(self, graph: Graph, node: Node, problem: str) -> str:
        """Run a graph in which `node` fails; the problem is a pattern of its first sentence. -> both sentences.

        A host refuses what `validate_inputs` finds, and a newer one a choice that is not in the list, before the node can
        speak. The same value comes by wire then, where no host looks at it: the node must have its sentence all the same.
        """
        done = self._run(graph)
        said = refused_at_once(done, node)
        refused = {name: graph.prompt[node.id]["inputs"][name] for name in said} or choices_refused(
            done, node
        )
        for sentence in said.values():
            assert re.search(problem, sentence.partition("\n")[0]), sentence
            assert len(sentence.split("\n")) == len(re.findall(r"\.(?:\n|$)", sentence)), sentence
        if refused := {name: value for name, value in refused.items() if not isinstance(value, list)}:
            graph.change(node, **{name: given(graph, value) for name, value in refused.items()})
            done = self._run(graph)
        words = words_of(done, node)
        assert re.search(problem, words.partition("\n")[0]), words
        return words

    def refuses(self, graph: Graph, node: Node, problem: str) -> str:
        """Like `fails`, and the next run plays a song."""
        words = self.fails(graph, node, problem)
        self.plays_a_song()
        return words


def refused_at_once(done: Run, node: Node) -> dict[str, str]:
    """What `validate_inputs` of this node said of its inputs, which the host tells of each that it looked at."""
    told = [error for faults in done.node_errors.values() for error in faults["errors"]]
    if not any(error["type"] == "custom_validation_failed" for error in told):
        return {}
    assert {error["type"] for error in told} == {"custom_validation_failed"}, done.node_errors
    assert set(done.node_errors) == {node.id}, done.node_errors
    said = {error["extra_info"]["input_name"]: error["details"].partition(" - ")[2] for error in told}
    assert len(set(said.values())) == 1, said
    return said


def choices_refused(done: Run, node: Node) -> dict[str, Any]:
    """The choices of this node that the host did not find in their lists; any other refusal is a failure."""
    told = [error for faults in done.node_errors.values() for error in faults["errors"]]
    assert {error["type"] for error in told} <= {"value_not_in_list"}, done.node_errors
    assert set(done.node_errors) <= {node.id}, done.node_errors
    return {error["extra_info"]["input_name"]: error["extra_info"]["received_value"] for error in told}


def words_of(done: Run, node: Node) -> str:
    """What the failed node says, checked to be one problem and one remedy, in a sentence each."""
    assert done.refused == ""
    assert done.failure, "it ran"
    assert done.failure["node_id"] == node.id, f"{done.failure['node_type']}: {done.error}"
    assert done.failure["exception_type"].rpartition(".")[2] in ERRORS, "".join(done.failure["traceback"])
    assert done.error.count("\n") == 1, done.error
    for line in done.error.split("\n"):
        assert re.fullmatch(r".{8,400}\.", line), line
        assert not re.search(r"[a-z]{3,}[.!?] [A-Z]", line), f"more than one sentence: {line}"
    return done.error
