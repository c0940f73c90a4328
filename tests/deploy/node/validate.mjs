// Reads a JSON array of custom resources and ends with 1 if one is not as its operator wants it.
import { readFileSync } from "node:fs";

const packages = {
  "monitoring.coreos.com": "@kubernetes-models/prometheus-operator",
  "keda.sh": "@kubernetes-models/keda",
};
let failures = 0;
for (const resource of JSON.parse(readFileSync(0, "utf8"))) {
  const { apiVersion, kind, metadata } = resource;
  try {
    const module = await import(`${packages[apiVersion.split("/")[0]]}/${apiVersion}/${kind}`);
    new module[kind](resource).validate();
  } catch (error) {
    failures += 1;
    console.error(`${kind} ${metadata.name}: ${error.message}`);
  }
}
process.exit(failures ? 1 : 0);
