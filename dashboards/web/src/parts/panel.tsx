import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

/** A titled part of a view. */
export function Panel(props: {
  title: ComponentChildren;
  aside?: ComponentChildren;
  class?: string;
  busy?: boolean;
  children: ComponentChildren;
}) {
  const id = useId();
  return (
    <section class={`panel ${props.class ?? ""}`} aria-labelledby={id} aria-busy={props.busy ?? false}>
      <div class="panel-head">
        <h2 id={id}>{props.title}</h2>
        {props.aside !== undefined && <div class="panel-aside">{props.aside}</div>}
      </div>
      {props.children}
    </section>
  );
}

/** What to say where there is nothing to show. */
export const Empty = ({ children }: { children: ComponentChildren }) => <p class="empty">{children}</p>;

/** Text in which `names` stand between backticks. */
export function Marked({ text }: { text: string }) {
  return (
    <>
      {text.split("`").map((piece, i) => (i % 2 === 1 ? <b class="name">{piece}</b> : piece))}
    </>
  );
}
