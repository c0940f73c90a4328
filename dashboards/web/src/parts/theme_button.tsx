import { useState } from "preact/hooks";
import { type Choice, choose, chosen } from "../theme";
import { ThemeIcon } from "./icons";

const NEXT: Record<Choice, Choice> = { system: "light", light: "dark", dark: "system" };
const NAMES: Record<Choice, string> = { system: "System", light: "Light", dark: "Dark" };

export function ThemeButton() {
  const [choice, setChoice] = useState(chosen);
  const turn = (): void => {
    choose(NEXT[choice]);
    setChoice(NEXT[choice]);
  };
  return (
    <button class="quiet theme" onClick={turn} title={`Theme: ${NAMES[choice]}. Change to ${NAMES[NEXT[choice]]}.`}>
      <ThemeIcon choice={choice} />
      <span>
        <span class="hidden">Theme: </span>
        {NAMES[choice]}
      </span>
    </button>
  );
}
