import { describe, expect, it } from "vitest";
import { alertHref, alertsHref, modelHref, parseRoute } from "./router";

const NOTHING = { window: null, signal: null, part: null, range: null, task: null, at: null };

describe("addresses", () => {
  it("name the views", () => {
    expect(parseRoute("")).toEqual({ view: "fleet" });
    expect(parseRoute("#/")).toEqual({ view: "fleet" });
    expect(parseRoute("#/nowhere")).toEqual({ view: "fleet" });
    expect(parseRoute("#/pipeline")).toEqual({ view: "pipeline" });
    expect(parseRoute("#/silences")).toEqual({ view: "silences" });
    expect(parseRoute("#/alerts?state=firing")).toEqual({ view: "alerts", state: "firing", model: null, cause: null, severity: null });
    expect(parseRoute("#/models/support/map")).toEqual({ view: "model", name: "support", tab: "map", ...NOTHING });
    expect(parseRoute("#/models/support/nothing")).toMatchObject({ tab: "overview" });
    expect(parseRoute("#/models/a/b/c")).toEqual({ view: "fleet" });
  });

  it("come back from what they were made of, whatever the name", () => {
    const name = "team/model é%?#&";
    const selection = { ...NOTHING, window: "2026-11-24T18:25:00Z", signal: "segment.channel=mail.input.token_count", part: "head.a&b" };
    expect(parseRoute(modelHref(name, selection, "performance"))).toEqual({ view: "model", name, tab: "performance", ...selection });
    expect(parseRoute(alertHref(name))).toEqual({ view: "alert", id: name });
    const which = { state: null, model: name, cause: "prior_shift", severity: "critical" };
    expect(parseRoute(alertsHref(which))).toEqual({ view: "alerts", ...which });
    expect(alertsHref({})).toBe("#/alerts");
  });

  it("survive what no browser should send", () => {
    expect(parseRoute("#/models/%E0%A4%A")).toMatchObject({ view: "model", name: "%E0%A4%A" });
  });
});
