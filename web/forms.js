// Workflows that open as forms: frontends before these have an unfinished mode of the same name, so they open the graph.
// And templates that open by a link: .../?acestep=01%20Song
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

const FIRST_WITH_FORMS = 1049; // version 1.49
const LINKED = "acestep";

function knowsForms() {
  const [major = 0, minor = 0] = (window.__COMFYUI_FRONTEND_VERSION__ ?? "").split(".").map(Number);
  return 1000 * major + minor >= FIRST_WITH_FORMS;
}

// Take the template's name out of the address, so that the next reload leaves alone what was made of it.
function takeName() {
  const address = new URL(location.href);
  const name = address.searchParams.get(LINKED);
  address.searchParams.delete(LINKED);
  if (name) history.replaceState(history.state, "", address);
  return name;
}

async function openTemplate(name) {
  const folder = decodeURIComponent(new URL(import.meta.url).pathname.split("/").at(-2)); // of this pack
  const templates = await (await api.fetchApi("/workflow_templates")).json();
  if (!templates[folder]?.includes(name)) return; // of this pack alone, and no path
  const file = `/workflow_templates/${encodeURIComponent(folder)}/${encodeURIComponent(name)}.json`;
  await app.loadGraphData(await (await api.fetchApi(file)).json(), true, true, name);
}

let linked = takeName();

app.registerExtension({
  name: "acestepgraph.forms",
  beforeConfigureGraph(graph) {
    if (graph?.extra?.linearData && !knowsForms()) delete graph.extra.linearMode;
  },
  // The editor has put its own first graph there, and would put it over an earlier one.
  afterConfigureGraph() {
    const name = linked;
    linked = null;
    if (name) setTimeout(() => openTemplate(name));
  },
});
