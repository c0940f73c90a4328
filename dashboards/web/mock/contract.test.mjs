/** The stand-in answers in the shapes that driftd's own document promises. */

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startMock } from "./server.mjs";

const document = JSON.parse(readFileSync(new URL("../../../docs/openapi.json", import.meta.url), "utf8"));
const NOW = "2026-11-24T19:07:00Z";

/** Where a value is not what its schema says, as far as types, required names and lists go. */
function faults(schema, value, path = "$") {
  if (schema.$ref) return faults(schema.$ref.replace("#/", "").split("/").reduce((at, key) => at[key], document), value, path);
  if (schema.allOf) return schema.allOf.flatMap((s) => faults(s, value, path));
  const any = schema.oneOf ?? schema.anyOf;
  if (any) return any.some((s) => faults(s, value, path).length === 0) ? [] : [`${path}: fits none of ${any.length} shapes`];
  const types = schema.type === undefined ? [] : [schema.type].flat();
  const type = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
  if (types.length > 0 && !types.includes(type) && !(type === "number" && types.includes("integer") && Number.isInteger(value))) return [`${path}: is ${type}, not ${types.join(" or ")}`];
  if (schema.enum && !schema.enum.includes(value)) return [`${path}: is ${value}, none of ${schema.enum.join(", ")}`];
  if (type === "array") return schema.items ? value.flatMap((v, i) => faults(schema.items, v, `${path}[${i}]`)) : [];
  if (type !== "object") return [];
  const missing = (schema.required ?? []).filter((name) => !(name in value)).map((name) => `${path}.${name}: is missing`);
  return [...missing, ...Object.entries(schema.properties ?? {}).flatMap(([name, s]) => (name in value ? faults(s, value[name], `${path}.${name}`) : []))];
}

describe("mock", () => {
  let mock;
  let filled;
  beforeAll(async () => {
    mock = await startMock({ now: NOW });
    const [window] = mock.world.model("support").windows();
    const [alert] = mock.world.desk.alerts("support");
    const [delivery] = mock.world.desk.deliveries("support", null);
    const [request] = mock.world.desk.requests("support");
    filled = { "/models/{name}": "/models/support", "{start}": encodeURIComponent(window.start), "/alerts/{id}": `/alerts/${alert.id}`, "/deliveries/{id}": `/deliveries/${delivery.id}`, "/retraining-requests/{id}": `/retraining-requests/${request.id}` };
  });
  afterAll(() => mock.stop());

  /** What the page reads, and so what the mock answers. Events are no JSON, and a session is tested in the browser. */
  const READ = /^\/api\/v1\/(status|ledger|settings|session|silences|alerts|deliveries|retraining-requests|models)(\/\{\w+\})?(\/(examples|windows|statistics|distributions|map|performance|shadow))?(\/\{\w+\}\/statistics)?$/;
  const QUERIES = { "/statistics": "?scope=head&task=intent&signal=confidence", "/distributions": "?scope=head&task=intent&signal=confidence" };
  const reads = Object.entries(document.paths).filter(([path, methods]) => methods.get && READ.test(path));

  it("has paths to hold it to", () => expect(reads.length).toBeGreaterThanOrEqual(9));
  for (const [path, { get }] of reads) {
    const content = get.responses["200"]?.content;
    if (content?.["application/json"] === undefined) continue;
    it(`answers ${path} as documented`, async () => {
      const concrete = Object.entries(filled).reduce((at, [from, to]) => at.replace(from, to), path);
      const query = Object.entries(QUERIES).find(([end]) => path.endsWith(`{name}${end}`))?.[1] ?? "";
      const response = await fetch(`${mock.url}${concrete}${query}`);
      expect(response.status, concrete).toBe(200);
      const value = await response.json();
      if (Array.isArray(value.data)) expect(value.data.length, "rows to look at").toBeGreaterThan(0);
      expect(faults(content["application/json"].schema, value).slice(0, 5)).toEqual([]);
    });
  }
});
