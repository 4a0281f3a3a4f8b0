"""A pack for the servers of browser tests: planners write little, and while asked to, every step takes its time.

It is copied into their custom_nodes, behind the pack itself. POST /tests/slow_runs {"seconds": 0.5}; 0 ends it. A planner
with random weights writes until its room is full, which took most of the time of the pages that have one.
"""

import sys
import time
from types import ModuleType

from aiohttp import web
from server import PromptServer

NODE_CLASS_MAPPINGS: dict[str, type] = {}


def module(name: str) -> ModuleType:
    """Of the pack, wherever it is installed."""
    (found,) = (one for key, one in list(sys.modules.items()) if key.endswith(name))
    return found


EXCERPTS = module(".nodes.runs.excerpts")
GRAMMAR, REQUESTS = module(".acestep_core.planner.grammar"), module(".acestep_core.planner.requests")
HEAR, SHARE = EXCERPTS.Excerpts.hear, EXCERPTS.SHARE
GRAMMAR.CAPTION_TOKENS, GRAMMAR.GENRE_TOKENS, REQUESTS.LYRIC_TOKENS = 8, 4, 8


@PromptServer.instance.routes.post("/tests/slow_runs")
async def slow_runs(request: web.Request) -> web.Response:
    seconds = (await request.json())["seconds"]

    def hear(excerpts, progress) -> None:
        time.sleep(seconds)
        HEAR(excerpts, progress)

    EXCERPTS.Excerpts.hear = hear if seconds else HEAR
    EXCERPTS.SHARE = 1e9 if seconds else SHARE
    return web.json_response({})
