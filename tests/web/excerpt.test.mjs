// web/excerpt.js: whose excerpts are heard, and in which node.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Run } from "../../web/excerpt.js";
import { nodesAlong } from "../../web/sources.js";

function graphOf(...nodes) {
  return { nodes, getNodeById: (id) => nodes.find((node) => node.id === id) };
}

test("an execution id leads through subgraphs, whether ids are numbers or text", () => {
  const inner = { id: 1 };
  const middle = { id: "7", subgraph: graphOf(inner) };
  const outer = { id: 4, subgraph: graphOf(middle) };
  const root = graphOf({ id: 1 }, outer);
  assert.deepEqual(nodesAlong(root, "4:7:1"), [outer, middle, inner]);
  assert.deepEqual(nodesAlong(root, 4), [outer]);
  for (const lost of ["9", "4:9", "1:1", "4:7:1:1", ""]) assert.deepEqual(nodesAlong(root, lost), []);
  assert.deepEqual(nodesAlong(undefined, "1"), []);
});

const told = (prompt_id, step = 3) => ({ prompt_id, step });

test("excerpts of the running prompt are taken, those of another one are not", () => {
  const run = new Run();
  run.start("a");
  assert.ok(run.take(told("a")));
  assert.ok(!run.take(told("b", 4)));
  assert.equal(run.latest.prompt_id, "a");
});

test("what comes after the end is dropped, and the next run is heard", () => {
  const run = new Run();
  run.start("a");
  run.take(told("a"));
  assert.ok(!run.end("b"));
  assert.equal(run.latest.step, 3);
  assert.ok(run.end("a"));
  assert.equal(run.latest, null);
  assert.ok(!run.take(told("a", 7)));
  run.start("b");
  assert.ok(!run.take(told("a", 7)));
  assert.ok(run.take(told("b")));
});

test("a page that was opened during a run hears the rest of it", () => {
  const run = new Run();
  assert.ok(run.take(told("a")));
  assert.ok(!run.take(told("b")));
});
