import { describe, expect, it } from "vitest";
import { refusalLines, settingRows } from "./settings";

describe("settings", () => {
  it("are rows under dotted names", () => {
    const settings = { log: "text", kafka: null, models: [{ budget: "1/30d", window: { length: "5m" } }], endpoints: [], topics: ["a", "b"], properties: {} };
    expect(settingRows(settings)).toEqual([
      { name: "log", value: "text" },
      { name: "kafka", value: "not set" },
      { name: "models[0].budget", value: "1/30d" },
      { name: "models[0].window.length", value: "5m" },
      { name: "endpoints", value: "none" },
      { name: "topics", value: "a, b" },
      { name: "properties", value: "none" },
    ]);
  });

  it("tell each problem of a refused file", () => {
    expect(refusalLines("2 problems in `f`\n  f:3: a\n  f:4: b\n")).toEqual(["2 problems in `f`", "f:3: a", "f:4: b"]);
  });
});
