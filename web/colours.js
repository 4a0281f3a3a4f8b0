// Gives our sockets and wires colours of their own, in both node styles; a palette that names them goes before.
import { app } from "../../scripts/app.js";

// Told apart from each other, and from LATENT, MASK and SIGMAS, also by eyes that lack red, green or blue.
const COLOURS = {
  ACEGRAPH_MODEL: "#7439ff",
  ACEGRAPH_TEXT_ENCODER: "#d0dc27",
  ACEGRAPH_VAE: "#bc2f93",
  ACEGRAPH_PLANNER: "#248359",
  ACEGRAPH_CONDITIONS: "#f08fb5",
  ACEGRAPH_CODES: "#228bf5",
  ACEGRAPH_NOISE: "#7f7206",
  ACEGRAPH_EXTRAS: "#a9d96c",
  ACEGRAPH_TIMES: "#9faa18",
};

function paint() {
  const tables = [app.canvas.default_connection_color_byType, window.LGraphCanvas?.link_type_colors];
  for (const [type, colour] of Object.entries(COLOURS)) {
    for (const table of tables) if (table) table[type] ||= colour;
    const name = `--color-datatype-${type}`;
    for (const { style } of [document.documentElement, document.body]) style.getPropertyValue(name) || style.setProperty(name, colour);
  }
  app.canvas.setDirty(true, true);
}

app.registerExtension({
  name: "acestepgraph.colours",
  afterConfigureGraph: paint,
  setup() {
    paint();
    // A palette wipes what it does not know, a moment after it was chosen.
    app.ui.settings.addEventListener("Comfy.ColorPalette.change", () => setTimeout(paint, 500));
  },
});
