import { defineConfig } from "vite";

export default defineConfig({
  base: "/",
  build: {
    target: "es2022",
    // The oldest browsers that know light-dark(): older targets would rewrite it.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // One script and one style sheet: nothing to preload, so no polyfill either.
    modulePreload: false,
    // What is built in asks that its notice goes along.
    license: { fileName: "assets/licenses.md" },
  },
  server: {
    proxy: { "/api": "http://127.0.0.1:4010" },
  },
});
