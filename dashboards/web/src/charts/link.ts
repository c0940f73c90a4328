/** How charts know the address that shows them again. */

import { createContext } from "preact";
import { useContext } from "preact/hooks";

export interface Linking {
  /** The address of this view with everything that is selected, beginning at a chart. */
  href: (chart: string) => string;
  /** The chart that this view begins at. */
  at: string | null;
}

const Context = createContext<Linking | null>(null);

export const LinkingProvider = Context.Provider;

export const useLinking = (): Linking | null => useContext(Context);
