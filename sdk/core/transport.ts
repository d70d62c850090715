/** One request to the service. */

/** Milliseconds until a request is given up. */
const TIMEOUT_MS = 15_000;

/** The answer to a request. `status` 0: there was none. */
export interface Answer {
  readonly status: number;
  /** Milliseconds to wait, if the service says so. */
  readonly retryAfterMs?: number;
  /** The decoded body; undefined if it is no JSON. */
  readonly body?: unknown;
}

/**
 * Send an event. Never rejects.
 *
 * The body is sent as text, so that the browser asks no permission first (no preflight). `isLeaving`: the request
 * outlives the page.
 */
export async function post(url: string, body: string, isLeaving: boolean): Promise<Answer> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
  try {
    const answer = await fetch(url, {
      method: "POST",
      body,
      headers: { "Content-Type": "text/plain" },
      credentials: "omit",
      keepalive: isLeaving,
      referrerPolicy: "no-referrer-when-downgrade",
      signal: abort.signal,
    });
    const seconds = Number(answer.headers.get("Retry-After"));
    return {
      status: answer.status,
      ...(seconds > 0 && { retryAfterMs: seconds * 1000 }),
      body: await answer.json().catch(() => undefined),
    };
  } catch {
    return { status: 0 };
  } finally {
    clearTimeout(timer);
  }
}
