// Workflows that open as forms: frontends before these have an unfinished mode of the same name, so they open the graph.
import { app } from "../../scripts/app.js";

const FIRST_WITH_FORMS = [1, 49];

function knowsForms() {
  const [major = 0, minor = 0] = (window.__COMFYUI_FRONTEND_VERSION__ ?? "").split(".").map(Number);
  return major > FIRST_WITH_FORMS[0] || (major === FIRST_WITH_FORMS[0] && minor >= FIRST_WITH_FORMS[1]);
}

app.registerExtension({
  name: "acestepgraph.forms",
  beforeConfigureGraph(graph) {
    if (graph?.extra?.linearData && !knowsForms()) delete graph.extra.linearMode;
  },
});
