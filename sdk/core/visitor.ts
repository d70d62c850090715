/**
 * Who this browser is, for every tab and every subdomain.
 *
 * The cookie of the registrable domain is the truth, because all subdomains see it. Local storage has the id of the
 * browser as well, in case the cookie is lost, and everything if cookies are blocked. Memory has it if both are. An
 * id that stands in a link is never read.
 */
import { findCookieDomain, readCookies, setCookie } from "./cookies.js";
import { isAnonymousId, newAnonymousId } from "./ids.js";
import { parseJson, readLocal, writeLocal } from "./local.js";

/** What a browser remembers of its visitor. A new id is a new visitor. */
export interface Visitor {
  /** 16 hexadecimal digits. */
  readonly id: string;
  /** The persisted token of the service: who the visitor is. A secret. */
  readonly token?: string;
  /** The anonymous profile tracker: what this browser has done is the visitor's who signs in with it. A secret. */
  readonly tracker?: string;
}

/** purpose → whether the visitor agrees. */
export type Choices = Readonly<Record<string, boolean>>;

interface Remembered extends Visitor {
  readonly choices: Choices;
}

/** The visitor of this browser in all its stores. */
export class VisitorStore {
  private remembered: Remembered | undefined;
  private choicesOnly: Choices = {};
  private domain: string | undefined;
  private cookieWorks = true;

  /** `name`: of the cookie and of the key in local storage. `cookieDomain`: undefined finds the registrable domain. */
  constructor(
    private readonly name: string,
    private readonly cookieDomain?: string,
  ) {}

  /** The visitor; undefined before anything may be stored. Another tab may have changed who it is. */
  get current(): Visitor | undefined {
    return this.remembered;
  }

  /** What the visitor agrees to. */
  get choices(): Choices {
    return this.remembered?.choices ?? this.choicesOnly;
  }

  /** Read what other tabs and subdomains have stored. Returns whether this is somebody else now. */
  refresh(): boolean {
    const before = this.remembered?.id;
    const found = this.find();
    if (found) {
      this.remembered = asRemembered(found);
      this.choicesOnly = asChoices(found.choices);
    }
    return before !== undefined && before !== this.remembered?.id;
  }

  /** The visitor of this browser as it was read last, a new one if it has none. Brings all stores into step. */
  begin(): Visitor {
    return this.put(this.remembered ?? { id: newAnonymousId(), choices: this.choicesOnly });
  }

  /** Remember more of the visitor. */
  update(changes: Partial<Visitor>): void {
    if (this.remembered) this.put({ ...this.remembered, ...changes });
  }

  /** Remember a choice: with the visitor, or by itself before anything else may be stored. */
  choose(purpose: string, isGiven: boolean): void {
    const choices = { ...this.choices, [purpose]: isGiven };
    if (this.remembered) this.put({ ...this.remembered, choices });
    else this.choicesOnly = choices;
  }

  /** Forget the visitor. The next one has another id, and the choices of the device. */
  renew(): Visitor {
    return this.put({ id: newAnonymousId(), choices: this.choices });
  }

  /** Forget the visitor everywhere, and remember that they do not agree. */
  forget(): void {
    const choices = this.choices;
    this.choicesOnly = choices;
    this.remembered = undefined;
    this.cookieWorks = this.writeCookie(encode({ choices, domain: this.findDomain() }));
    writeLocal(this.name, JSON.stringify({ choices }));
  }

  /** What the stores say; undefined if they say no more than memory does. */
  private find(): Stored | undefined {
    // What cannot be written cannot be trusted either: it may be of before.
    const cookies = this.cookieWorks ? readCookies(this.name).map(decode).filter(Boolean) : [];
    const shared =
      cookies.find((cookie) => cookie?.domain === this.domain) ??
      cookies.find((cookie) => cookie?.domain) ??
      cookies[0];
    return shared ?? (this.remembered ? undefined : asStored(parseJson(readLocal(this.name))));
  }

  private put(visitor: Remembered): Visitor {
    this.remembered = visitor;
    this.cookieWorks = this.writeCookie(encode({ ...visitor, domain: this.findDomain() }));
    const { id, choices } = visitor;
    writeLocal(this.name, JSON.stringify(this.cookieWorks ? { id, choices } : visitor));
    return visitor;
  }

  private writeCookie(value: string): boolean {
    const domain = this.findDomain();
    if (domain && setCookie(this.name, value, domain)) {
      // One of this host alone would hide what other subdomains write.
      if (readCookies(this.name).length > 1) setCookie(this.name, "", "", 0);
      return true;
    }
    return setCookie(this.name, value, "");
  }

  private findDomain(): string {
    this.domain ??= this.cookieDomain ?? findCookieDomain();
    return this.domain;
  }
}

/** What stands in a cookie and in local storage. `domain`: for which a cookie was set. */
interface Stored extends Partial<Remembered> {
  /** "" is the host alone. */
  readonly domain?: string;
}

function encode(stored: Stored): string {
  return encodeURIComponent(JSON.stringify(stored));
}

function decode(value: string): Stored | undefined {
  try {
    return asStored(parseJson(decodeURIComponent(value)));
  } catch {
    return undefined;
  }
}

/** A visitor, or the choices of a device that has none. */
function asStored(value: unknown): Stored | undefined {
  if (!value || typeof value !== "object") return undefined;
  const { id, choices } = value as Stored;
  return isAnonymousId(id) || (id === undefined && choices) ? (value as Stored) : undefined;
}

function asChoices(value: unknown): Choices {
  return value && typeof value === "object" ? (value as Choices) : {};
}

function asRemembered({ id, token, tracker, choices }: Stored): Remembered | undefined {
  if (!isAnonymousId(id)) return undefined;
  return {
    id,
    choices: asChoices(choices),
    ...(typeof token === "string" && { token }),
    ...(typeof tracker === "string" && { tracker }),
  };
}
