/** The classic script: the global `oneself`, and the calls that the page made before it was loaded. */
import oneself, { type Oneself } from "./index.js";

type Call = [keyof Oneself, ArrayLike<unknown>];

const page = window as unknown as { oneself?: { q?: Call[] } & Partial<Oneself> };
const calls = page.oneself?.q ?? [];
page.oneself = oneself;
for (const [name, parameters] of calls) {
  const method = oneself[name] as ((...all: unknown[]) => unknown) | undefined;
  if (method) method(...Array.from(parameters));
}
