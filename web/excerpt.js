// Which events of excerpts concern this page, and which nodes they belong to. Pure.

// The nodes along an execution id, the outermost first: "4:1" is node 1 inside of the subgraph of node 4. Empty where one
// of them is not there.
export function nodesAlong(graph, id) {
  const found = [];
  for (const part of String(id).split(":")) {
    const node = graph?.getNodeById?.(part) ?? graph?.nodes?.find((one) => String(one.id) === part);
    if (!node) return [];
    found.push(node);
    graph = node.subgraph;
  }
  return found;
}

// The one prompt whose excerpts are heard.
export class Run {
  constructor() {
    this.prompt = null; // that is running, as far as is known
    this.over = null; // that ended last
    this.latest = null; // what was told last
  }

  start(prompt) {
    this.prompt = prompt;
    this.latest = null;
  }

  // True for an excerpt of the running prompt; those of others, and those that come too late, are dropped. A page that was
  // opened during a run has not seen it start.
  take(told) {
    if (told.prompt_id === this.over || (this.prompt !== null && told.prompt_id !== this.prompt)) return false;
    this.prompt = told.prompt_id;
    this.latest = told;
    return true;
  }

  // True if it was the prompt that is heard.
  end(prompt) {
    if (this.prompt !== null && prompt !== this.prompt) return false;
    this.over = prompt;
    this.prompt = this.latest = null;
    return true;
  }
}
