/** Random ids. */

/** `bytes` random bytes as lower-case hexadecimal digits. */
export function randomHex(bytes: number): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A new id for a browser: 16 hexadecimal digits, as the event wire expects them. */
export const newAnonymousId = (): string => randomHex(8);

/** A new id for an event, by which the service recognises it when it is sent again. */
export const newEventId = (): string => randomHex(16);

/** Whether the text can be the id of a browser. */
export function isAnonymousId(text: unknown): text is string {
  return typeof text === "string" && /^[0-9a-f]{16}$/.test(text);
}
