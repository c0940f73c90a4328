import { ofThreshold, quantity } from "../data/format";
import { barPosition, levelOf, logRatio, THRESHOLD_AT, WARNING_SHARE } from "../data/scale";

/** Evidence against its threshold, on a logarithmic scale that begins at 1. */
export function EvidenceBar({ evidence, threshold }: { evidence: number | null; threshold: number }) {
  const ratio = logRatio(evidence, threshold);
  const level = ratio === null ? "calm" : levelOf(ratio);
  const label =
    evidence === null
      ? "no evidence yet"
      : `evidence ${quantity(evidence)}, ${ofThreshold(evidence, threshold)} of the threshold ${quantity(threshold)}`;
  return (
    <span
      class={`evidence-bar ${level}`}
      role="img"
      aria-label={label}
      title={label}
      style={{
        "--value-at": barPosition(evidence, threshold),
        "--warning-at": barPosition(threshold * WARNING_SHARE, threshold),
        "--threshold-at": THRESHOLD_AT,
      }}
    >
      <span class="fill" />
      <span class="tick warning-tick" />
      <span class="tick threshold-tick" />
    </span>
  );
}
