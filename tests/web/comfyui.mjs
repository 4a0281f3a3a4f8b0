// Stands in for the two modules of ComfyUI's page that ours import: import it before them.
import { registerHooks } from "node:module";

export const page = { api: { apiURL: (path) => `/api${path}` }, app: { nodeOutputs: {} } };
globalThis.comfyuiPage = page;

registerHooks({
  resolve(specifier, context, next) {
    const name = specifier.match(/^\.\.\/\.\.\/scripts\/(api|app)\.js$/)?.[1];
    if (!name) return next(specifier, context);
    return { url: `data:text/javascript,export const ${name} = globalThis.comfyuiPage.${name};`, shortCircuit: true };
  },
});
