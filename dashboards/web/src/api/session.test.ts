import { describe, expect, it } from "vitest";
import { parseChange } from "./live";
import { delayAfter } from "./poll";
import { may } from "./session";

const session = (roles: string[], scopes: string[] = []) => ({ csrf_token: "t", name: "n", roles, scopes });

describe("what a caller may do", () => {
  it("follows from roles that contain each other", () => {
    expect(may(session(["viewer"]), "operator")).toBe(false);
    expect(may(session(["operator"]), "operator")).toBe(true);
    expect(may(session(["admin"]), "operator")).toBe(true);
    expect(may(session(["viewer", "operator"]), "admin")).toBe(false);
    expect(may(session(["unknown"]), "viewer")).toBe(false);
  });

  it("never gives a scope with a role", () => {
    expect(may(session(["admin"]), "retraining:approve")).toBe(false);
    expect(may(session(["viewer"], ["retraining:approve"]), "retraining:approve")).toBe(true);
  });
});

describe("events", () => {
  it("are changes that the page knows", () => {
    expect(parseChange('{"type":"window","model":"support"}')).toEqual({ type: "window", model: "support" });
    expect(parseChange('{"type":"alert"}')).toEqual({ type: "alert", model: null });
    expect(parseChange('{"type":"else"}')).toBeNull();
    expect(parseChange("not JSON")).toBeNull();
  });
});

describe("asking", () => {
  it("slows down while it fails, and rests while events arrive", () => {
    expect([0, 1, 2, 9].map((n) => delayAfter(n))).toEqual([5_000, 10_000, 20_000, 60_000]);
    expect(delayAfter(0, true)).toBe(60_000);
    expect(delayAfter(1, true)).toBe(10_000);
  });
});
