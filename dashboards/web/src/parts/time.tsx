import { ago, moment } from "../data/format";

/** A time in the reader's zone, with the exact UTC time behind it. */
export function Time({ at, relative = false }: { at: string; relative?: boolean }) {
  const [date, now] = [new Date(at), new Date()];
  return (
    <time dateTime={at} title={relative ? `${moment(date, now)} (${at})` : at}>
      {relative ? ago(date, now) : moment(date, now)}
    </time>
  );
}
