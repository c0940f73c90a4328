/** Who the caller is and what the page may offer them. */

import { useEffect, useState } from "preact/hooks";
import * as api from "./client";
import type { Role, Scope, Session } from "./types";

/** `unknown` until the server has said; `out` where it asks for a key. */
export type Access = { state: "unknown" } | { state: "out" } | { state: "in"; session: Session };

/** Servers that know no sessions ask nobody and have nothing that could be refused. */
const NOBODY: Session = { csrf_token: null, name: "", roles: ["admin"], scopes: ["retraining:approve", "samples:read"] };

let current: Access = { state: "unknown" };
const watching = new Set<(access: Access) => void>();

function set(access: Access): void {
  current = access;
  api.caller.csrf = access.state === "in" ? access.session.csrf_token : null;
  watching.forEach((watch) => watch(access));
}

api.caller.unauthorized = () => {
  if (current.state !== "out") set({ state: "out" });
};

/** Asks once who the caller is. Where that cannot be found out the views say what is wrong. */
export async function begin(): Promise<void> {
  try {
    set({ state: "in", session: (await api.session(AbortSignal.timeout(10_000))) ?? NOBODY });
  } catch (error) {
    if (error instanceof api.ApiError && error.status === 401) set({ state: "out" });
    else set({ state: "in", session: { ...NOBODY, roles: ["viewer"], scopes: [] } });
  }
}

export async function logIn(apiKey: string): Promise<void> {
  set({ state: "in", session: await api.logIn(apiKey) });
}

export async function logOut(): Promise<void> {
  await api.logOut();
  set({ state: "out" });
}

export function useAccess(): Access {
  const [access, update] = useState(current);
  useEffect(() => {
    watching.add(update);
    update(current);
    return () => void watching.delete(update);
  }, []);
  return access;
}

/** Whether the caller may do what needs a role or a scope. */
export function useMay(need: Role | Scope): boolean {
  const access = useAccess();
  return access.state === "in" && may(access.session, need);
}

const ROLES: string[] = ["viewer", "operator", "admin"];

/** Roles contain each other and never a scope. */
export function may(session: Session, need: Role | Scope): boolean {
  if (need.includes(":")) return session.scopes.includes(need);
  return session.roles.some((role) => ROLES.indexOf(role) >= ROLES.indexOf(need));
}
