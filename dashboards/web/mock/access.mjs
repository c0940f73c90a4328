/** Who asks: API keys for the mock with `--auth`, and a session's cookie; without it the caller is a local admin. */

import { randomUUID } from "node:crypto";

const SCOPES = ["samples:read", "retraining:approve"];

/** Keys as a person would type them. */
export const KEYS = {
  drk_viewer: { name: "vera", roles: ["viewer"], scopes: [] },
  drk_operator: { name: "omar", roles: ["viewer", "operator"], scopes: [] },
  drk_approver: { name: "ada", roles: ["viewer", "operator"], scopes: ["retraining:approve"] },
};

export function makeAccess(auth) {
  const sessions = new Map();
  const local = { csrf_token: "local", name: "local", roles: ["viewer", "operator", "admin"], scopes: SCOPES, means: "local" };
  const idOf = (request) => /(?:^|;\s*)driftd_session=([^;]+)/.exec(request.headers.cookie ?? "")?.[1];
  return {
    session: (request) => (auth ? (sessions.get(idOf(request)) ?? null) : local),
    open: (key) => {
      const caller = KEYS[key];
      if (caller === undefined) return null;
      const id = randomUUID();
      const session = { csrf_token: randomUUID(), ...caller, means: "session" };
      sessions.set(id, session);
      return { session, cookie: `driftd_session=${id}; HttpOnly; SameSite=Strict; Path=/` };
    },
    close: (request) => void sessions.delete(idOf(request)),
  };
}
