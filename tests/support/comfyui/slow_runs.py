"""A pack for the servers of browser tests: while asked to, every step takes its time and may be heard.

It is copied into their custom_nodes, behind the pack itself. POST /tests/slow_runs {"seconds": 0.5}; 0 ends it.
"""

import sys
import time

from aiohttp import web
from server import PromptServer

NODE_CLASS_MAPPINGS: dict[str, type] = {}
(EXCERPTS,) = (module for name, module in list(sys.modules.items()) if name.endswith(".nodes.runs.excerpts"))
HEAR, SHARE = EXCERPTS.Excerpts.hear, EXCERPTS.SHARE


@PromptServer.instance.routes.post("/tests/slow_runs")
async def slow_runs(request: web.Request) -> web.Response:
    seconds = (await request.json())["seconds"]

    def hear(excerpts, progress) -> None:
        time.sleep(seconds)
        HEAR(excerpts, progress)

    EXCERPTS.Excerpts.hear = hear if seconds else HEAR
    EXCERPTS.SHARE = 1e9 if seconds else SHARE
    return web.json_response({})
