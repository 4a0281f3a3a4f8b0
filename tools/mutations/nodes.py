"""Deliberate breakages of the nodes; their tests run in a real ComfyUI."""

from tools.mutations.core import Mutation

# fmt: off
NODE_MUTATIONS = [
    # ------------------------------------------------------------------------------------------ waves for the page
    Mutation("the page may ask for files outside of ComfyUI's folders", "nodes/host/folders.py", "nodes/recordings",
             "if root and is_inside(path, [root]) and is_file(path)", "if root and is_file(path)"),
    Mutation("channels that come in turns are drawn as one after the other", "nodes/host/recordings.py", "nodes/recordings",
             "numbers.reshape(-1, frame.layout.nb_channels).T", "numbers.reshape(frame.layout.nb_channels, -1)"),
    Mutation("bytes without a sign swing around one", "nodes/host/recordings.py", "nodes/recordings", "samples / 128 - 1", "samples / 128"),
    Mutation("an endless file is read to its end", "nodes/host/recordings.py", "nodes/recordings", "self.samples > self._most", "False"),
    Mutation("the server waits for a wave that it draws", "nodes/host/recordings.py", "nodes/recordings",
             "await asyncio.to_thread(drawn, path)", "drawn(path)"),
    Mutation("a second copy of the pack stops ComfyUI", "nodes/host/recordings.py", "nodes/recordings",
             'getattr(route, "path", "") == ADDRESS', "False"),
    # --------------------------------------------------------------------------------------- heard while sampling
    Mutation("excerpts are told to every open tab", "nodes/host/audience.py", "nodes/excerpts",
             "{**about, **told}, self.client)", "{**about, **told}, None)"),
    Mutation("a client that has gone counts as one that listens", "nodes/host/audience.py", "nodes/excerpts",
             "running.client_id not in running.sockets", "running.client_id is None"),
    Mutation("the VAE is brought in for every excerpt", "nodes/runs/excerpts.py", "nodes/excerpts",
             "decoded(self.vae.network,", "decoded(self.vae.loaded(self.room),"),
    Mutation("a card too small for both gets both", "nodes/runs/excerpts.py", "nodes/excerpts",
             "if not transformer.fits_beside(room + excerpt_bytes(vae), vae):", "if False:"),
    Mutation("what other programs hold of a card is forgotten", "nodes/host/runtime.py", "nodes/excerpts",
             "<= min(self._most, self._ours)", "<= self._most"),
    Mutation("weights that have left are not missed", "nodes/runs/excerpts.py", "nodes/excerpts",
             "if not (self._transformer.is_whole and self.vae.is_whole):", "if False:"),
    Mutation("the first quarter is heard", "nodes/runs/excerpts.py", "nodes/excerpts", "done <= EARLY * total", "done < EARLY * total"),
    Mutation("the finished song is heard twice", "nodes/runs/excerpts.py", "nodes/excerpts", " or done >= total", ""),
    Mutation("excerpts take twice their share", "nodes/runs/excerpts.py", "nodes/excerpts", "cost / SHARE else 0", "cost / SHARE / 2 else 0"),
    Mutation("memory that runs out in an excerpt ends the run", "nodes/runs/excerpts.py", "nodes/excerpts",
             "not isinstance(fault, AceStepError) and not is_full(fault)", "not isinstance(fault, AceStepError)"),
    Mutation("files of excerpts are never removed", "nodes/runs/excerpts.py", "nodes/excerpts", "while len(FILES) > MOST_FILES:", "while False:"),
    Mutation("the passage wanders", "nodes/runs/excerpts.py", "nodes/excerpts", "if self._passage is None:\n            distance",
             "if True:\n            distance"),
    # ------------------------------------------------------------------------------------ under ComfyUI's samplers
    Mutation("the momentum moves on at the same sigma", "nodes/host/native_model.py", "nodes/native_model",
             "elif sigma < self._sigma:", "else:"),
    Mutation("zeros are conditions and not the null condition", "nodes/host/native_model.py", "nodes/to_model",
             "if not sequences.any():", "if False:"),
    Mutation("conditions are not cut to their lengths", "nodes/host/native_model.py", "nodes/to_model", "row[:length] for row", "row for row"),
    Mutation("the shift is ignored", "nodes/host/native_model.py", "nodes/to_model", "if shift != SHIFT:", "if False:"),
    Mutation("latents of another count are repeated or cut", "nodes/host/native_model.py", "nodes/to_model",
             "count not in (1, len(noise)) for count", "False for count"),
    # ------------------------------------------------------------------------------------------------------ takes
    Mutation("a picked take loses its place in the batch", "nodes/analysis/pick_take.py", "nodes/takes",
             '        "batch_index": [index[take]],\n', ""),
    Mutation("places are counted from 0", "nodes/analysis/pick_take.py", "nodes/takes", "return order[place - 1]", "return order[place % len(order)]"),
]
