import { describe, expect, it } from "vitest";
import type { Lack } from "../api/types";
import { clock } from "./format";
import { isSilent, judgedIn, lackWords, shownName, shownState } from "./lacks";
import { model, window } from "./samples";
import { fleetVerdict, verdict } from "./verdict";

const now = new Date(window(20).end);
const lack = (changes: Partial<Lack> = {}): Lack => ({
  scope: "encoder",
  task: null,
  lacks: "embeddings",
  silent: true,
  since: window(3).start,
  said: "no record has an embedding",
  ...changes,
});

describe("what cannot be judged", () => {
  it("is no calm", () => {
    expect([shownState(model()), shownName(model())]).toEqual(["ok", "OK"]);
    const partly = model({ not_judged: [lack()] });
    expect([shownState(partly), shownName(partly)]).toEqual(["insufficient_data", "Not all judged"]);
    expect(shownState(model({ not_judged: [] }))).toBe("ok");
    expect(verdict(partly, [window(9)], [], now)).toBe("No drift in what can be judged: evidence is 10, 0.12 % of the threshold.");
  });

  it("is no calm of a window either", () => {
    expect([window(9), window(9, { not_judged: [lack()] })].map((w) => shownName(judgedIn(w)))).toEqual(["OK", "Not all judged"]);
  });

  it("hides no drift", () => {
    const drifting = model({ state: "drift", not_judged: [lack()] });
    expect([shownState(drifting), shownName(drifting)]).toEqual(["drift", "Drift"]);
  });

  it("is told with its part and its beginning", () => {
    expect(lackWords(lack(), now)).toBe(`Encoder not judged since ${clock(new Date(window(3).start))}: no record has an embedding.`);
    const few = lack({ scope: "head", task: "mood", silent: false, said: "only 40 of 200 records answer task `mood`" });
    expect(lackWords(few, now)).toContain("mood judged in part since");
  });

  it("greys its part alone", () => {
    const lacks = [lack({ scope: "head", task: "mood" }), lack({ scope: "head", task: "intent", silent: false })];
    const silent = (task: string): boolean => isSilent(lacks, { scope: "head", task });
    expect([silent("mood"), silent("intent"), isSilent(lacks, { scope: "encoder", task: null })]).toEqual([true, false, false]);
    expect(isSilent(undefined, { scope: "encoder", task: null })).toBe(false);
  });

  it("is in the headline of the fleet", () => {
    const row = (changes: object) => ({ ...model(), evidence: 1, last_window_end: null, records: 1, guarantee: { status: "valid" as const, reason: "" }, ...changes });
    expect(fleetVerdict([row({}), row({ not_judged: [lack()] })])).toBe("No model drifts, as far as they can be judged.");
    expect(fleetVerdict([row({ not_judged: [lack()] })])).toBe("The model does not drift, as far as it can be judged.");
  });
});
