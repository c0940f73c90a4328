/** Pictures kept beside the code, compared with what the browser draws now. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pixelmatch from "pixelmatch";
import { PNG } from "pngjs";

const KEPT = fileURLToPath(new URL("../shots/", import.meta.url));
const FOUND = join(KEPT, "found");
/** Colours nearer than this are the same: letters are smoothed otherwise by other versions of the browser. */
const NEAR = 0.2;
/** So many pixels may differ. */
const SHARE = 0.01;

/** Says what is wrong with a picture; null if it is as kept. */
export async function compare(page, name, { update = false } = {}) {
  const drawn = await page.screenshot({ animations: "disabled", caret: "hide" });
  const path = join(KEPT, `${name}.png`);
  if (update || !existsSync(path)) {
    mkdirSync(KEPT, { recursive: true });
    writeFileSync(path, drawn);
    return update ? null : `${name}: no picture was kept; now one is`;
  }
  const [kept, found] = [PNG.sync.read(readFileSync(path)), PNG.sync.read(drawn)];
  if (kept.width !== found.width || kept.height !== found.height) {
    return `${name}: ${found.width}×${found.height} pixels, kept are ${kept.width}×${kept.height}`;
  }
  const difference = new PNG({ width: kept.width, height: kept.height });
  const pixels = pixelmatch(kept.data, found.data, difference.data, kept.width, kept.height, { threshold: NEAR });
  const share = pixels / (kept.width * kept.height);
  if (share <= SHARE) return null;
  mkdirSync(FOUND, { recursive: true });
  writeFileSync(join(FOUND, `${name}.png`), drawn);
  writeFileSync(join(FOUND, `${name}.difference.png`), PNG.sync.write(difference));
  return `${name}: ${(share * 100).toFixed(2)} % of the pixels differ (see shots/found); if that is meant: npm run paths -- --update`;
}
