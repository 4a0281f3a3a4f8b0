"""Who waits for the prompt that is running, and is told of it while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from comfy_execution.utils import get_executing_context
from server import PromptServer


@dataclass(frozen=True, slots=True)
class Audience:
    """A browser's tab, or whatever else queued the prompt and listens; and the node of it that runs."""

    client: str
    prompt_id: str
    node: str  # its execution id: inside of subgraphs "outer:inner"

    def tell(self, event: str, told: Mapping[str, object]) -> None:
        """Send an event to this client alone; without a client it would go to every open tab."""
        about = {"node": self.node, "prompt_id": self.prompt_id}
        PromptServer.instance.send_sync(event, {**about, **told}, self.client)


def audience() -> Audience | None:
    """Who listens to the running prompt; None where nobody does, as for one that came by API alone."""
    running, context = getattr(PromptServer, "instance", None), get_executing_context()
    if context is None or running is None or running.client_id not in running.sockets:
        return None
    return Audience(running.client_id, context.prompt_id, context.node_id)
