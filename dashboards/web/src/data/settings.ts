/** Settings as rows: one for each value, under its dotted name. */

export interface SettingRow {
  name: string;
  value: string;
}

const isPlain = (value: unknown): boolean => value === null || typeof value !== "object";

/** Rows in the order of the document. Lists of plain values are one row, and what is empty says so. */
export function settingRows(value: unknown, name = ""): SettingRow[] {
  if (isPlain(value)) return [{ name, value: value === null ? "not set" : String(value) }];
  if (Array.isArray(value)) {
    if (value.every(isPlain)) return [{ name, value: value.length === 0 ? "none" : value.join(", ") }];
    return value.flatMap((item, i) => settingRows(item, `${name}[${i}]`));
  }
  const entries = Object.entries(value as Record<string, unknown>);
  if (entries.length === 0) return [{ name, value: "none" }];
  return entries.flatMap(([key, item]) => settingRows(item, name === "" ? key : `${name}.${key}`));
}

/** The first line of a refusal says how many problems there are, the others name them. */
export const refusalLines = (why: string): string[] => why.split("\n").map((line) => line.trim()).filter((line) => line !== "");
