import { render } from "preact";
import { App } from "./app";
import { apply, chosen } from "./theme";
import "uplot/dist/uPlot.min.css";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/views.css";

apply(chosen());
const root = document.getElementById("app");
if (root !== null) render(<App />, root);
