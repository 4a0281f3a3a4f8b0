// Builds a page of tools/workflows/page.py inside the editor; evaluated there as one expression.
({
  // -> id -> [width, height] of the node as the frontend makes it, at least as large as asked for
  async build(items, boxes = []) {
    const { app, LiteGraph } = window;
    app.graph.clear();
    for (const item of items) {
      const node = LiteGraph.createNode(item.kind);
      if (!node) throw new Error(`There is no node ${item.kind}.`);
      node.id = item.id;
      app.graph.add(node);
      if (item.title) node.title = item.title;
      for (const [name, value] of Object.entries(item.values)) {
        const widget = node.widgets?.find((w) => w.name === name) ?? (item.kind === "MarkdownNote" && node.widgets[0]);
        if (!widget) throw new Error(`${item.kind} has no widget ${name}.`);
        widget.value = value;
      }
      Object.assign(node.properties, item.properties, item.marked ? { builtAs: item.id } : {});
      for (const key of ["color", "bgcolor"]) if (item[key]) node[key] = item[key];
      if (item.off) node.mode = 4;
    }
    app.graph.last_node_id = app.graph.state.lastNodeId = Math.max(...items.map((item) => item.id));
    for (const item of items) {
      const node = app.graph.getNodeById(item.id);
      for (const [input, from, output] of item.wires) {
        const origin = app.graph.getNodeById(from);
        const slots = [origin.findOutputSlot(output), node.findInputSlot(input)];
        if (slots.includes(-1)) throw new Error(`${origin.type}.${output} cannot be wired to ${node.type}.${input}.`);
        origin.connect(slots[0], node, slots[1]);
      }
    }
    const note = items.find((item) => item.kind === "MarkdownNote"); // until its text is on the page
    const heightNow = () => note && this.heightOf(app.graph.getNodeById(note.id).widgets[0].element, note.width);
    await new Promise((done) => setTimeout(done, 400));
    for (let before, tries = 0; note; tries++) {
      const now = heightNow();
      if (now > 100 && now === before) break;
      if (tries > 300) throw new Error("The note of the page was not drawn in a minute.");
      before = now;
      await new Promise((done) => setTimeout(done, 200));
    }
    const sizes = {};
    for (const item of items) {
      const node = app.graph.getNodeById(item.id);
      let [width, height] = node.computeSize();
      if (item.kind === "MarkdownNote" && !item.height) height = this.heightOf(node.widgets[0].element, item.width);
      node.setSize([Math.max(width, item.width ?? 0), Math.max(height, item.height ?? 0)]);
      sizes[item.id] = Array.from(node.size);
    }
    for (const box of boxes) {
      const node = await this.box(box.columns, box.title, box.promoted, box.id);
      const [width, height] = node.computeSize();
      node.setSize([Math.max(width, box.width), Math.max(height, box.height)]);
      sizes[box.id] = Array.from(node.size);
    }
    app.graph.last_node_id = app.graph.state.lastNodeId = Math.max(...items.map((item) => item.id));
    return sizes;
  },

  // These nodes as one; those that are named last give the first outputs, but sound comes before all.
  async box(columns, name, promoted, id) {
    const { app } = window;
    const nodes = columns.flat().map((each) => app.graph.getNodeById(each));
    for (const node of nodes) node.properties.builtAs = node.id;
    if (id) app.graph.last_node_id = app.graph.state.lastNodeId = id - 1;
    let left = 0;
    for (const column of id ? columns : []) {
      const stack = column.map((each) => app.graph.getNodeById(each));
      let top = 0;
      for (const node of stack) {
        node.pos = [left, top];
        top += node.size[1] + 90;
      }
      left += Math.max(...stack.map((node) => node.size[0])) + 60;
    }
    const isSilent = (each) => !each.outputs?.some((output) => output.type === "AUDIO");
    nodes.reverse().sort((one, other) => isSilent(one) - isSilent(other));
    const { subgraph, node } = app.graph.convertToSubgraph(new Set(nodes));
    subgraph.name = node.title = name;
    for (const slots of [subgraph.outputs, node.outputs]) {
      for (const slot of slots) if (slot.name === "STRING") slot.name = slot.localized_name = "report";
    }
    const inner = (built) => String(subgraph.nodes.find((n) => n.properties.builtAs === built).id);
    node.properties.proxyWidgets = promoted.map(([built, widget]) => [inner(Number(built)), widget]);
    for (const each of subgraph.nodes) delete each.properties.builtAs;
    await new Promise((done) => setTimeout(done, 400));
    return node;
  },

  // What a note needs to show all of its text.
  heightOf(element, width) {
    if (!element?.parentElement) return 0;
    const copy = element.cloneNode(true);
    copy.style.cssText = `position: absolute; visibility: hidden; height: auto; width: ${width - 20}px;`;
    element.parentElement.append(copy);
    const height = Math.max(...[copy, ...copy.children].map((part) => part.scrollHeight));
    copy.remove();
    return Math.ceil(height) + 30;
  },

  place(spots, groups, view, collapsed) {
    const { app, LGraphGroup } = window;
    for (const [id, spot] of Object.entries(spots)) app.graph.getNodeById(Number(id)).pos = spot;
    for (const id of collapsed) app.graph.getNodeById(id).collapse(true);
    for (const { title, color, bounding } of groups) {
      const group = new LGraphGroup(title);
      group.color = color;
      group.pos = bounding.slice(0, 2);
      group.size = bounding.slice(2);
      app.graph.add(group);
    }
    app.graph.extra = {};
    app.canvas.ds.scale = view.scale;
    app.canvas.ds.offset = view.offset;
    app.canvas.setDirty(true, true);
  },

  // These nodes as one; -> the text of its blueprint.
  async wrap(ids, name, promoted, width) {
    const { app } = window;
    const node = await this.box([ids], name, promoted, 0);
    const [, height] = node.computeSize();
    node.setSize([width, height]);
    node.pos = [0, 0];
    const { nodes: [kept], subgraphs } = app.canvas._serializeItems([node]);
    for (const slot of kept.inputs) slot.link = null;
    for (const slot of kept.outputs) slot.links = null;
    const file = { revision: 0, last_node_id: kept.id, last_link_id: 0, nodes: [kept], links: [], version: 0.4 };
    return JSON.stringify({ ...file, definitions: { subgraphs } });
  },

  // As text: what playwright hands over turns undefined into null, which the frontend then refuses.
  async text() {
    return JSON.stringify((await window.app.graphToPrompt()).workflow);
  },
})
