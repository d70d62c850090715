/**
 * Events that the service has not accepted yet, in order.
 *
 * They are in memory and in local storage, so that the next page sends what this one could not. An event is sent
 * with the same id and the same text each time: the service stores it once. Of several tabs that send an event, one
 * is heard.
 */
import { newEventId } from "./ids.js";
import { parseJson, readLocal, writeLocal } from "./local.js";
import { post, type Answer } from "./transport.js";

/** An event as the service takes it. */
export type Event = Record<string, unknown>;

/** An event in the outbox. */
export interface Item {
  readonly id: string;
  /** The visitor whose event it is. */
  readonly visitor: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly event: Event;
  /** What is sent, once it was decided. */
  body?: string;
  /** The page that it came from is gone. */
  left?: boolean;
}

/** What an outbox asks of its owner. */
export interface Sender {
  /** The address of the dataset's events. */
  readonly url: string;
  /** The text of an event, as it is sent; null: it must not be sent any more. */
  write(item: Item): string | null;
  /** The service has accepted the event. */
  accepted(item: Item, answer: Answer): void;
  /** The event is not sent any more. */
  dropped(item: Item, reason: string): void;
}

/** Limits, and times in milliseconds. */
const ITEMS_MAX = 100;
const STORED_CHARS_MAX = 200_000;
const AGE_MAX_MS = 24 * 3600 * 1000;
const WAIT_FIRST_MS = 1000;
const WAIT_MAX_MS = 60_000;
/** A page may send 64 KiB while it goes, with everything that others send. */
const LEAVING_BYTES_MAX = 60_000;
/** After this time, another tab that still has an event is probably gone. */
const ORPHANED_MS = 30_000;

/** The events of one dataset that are to be sent. */
export class Outbox {
  private items: Item[] = [];
  private isSending = false;
  private waitMs = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly name: string,
    private readonly sender: Sender,
  ) {}

  /** How many events are waiting. */
  get size(): number {
    return this.items.length;
  }

  /** Add an event of a visitor. */
  add(visitor: string, event: Event): Item {
    const item: Item = { id: newEventId(), visitor, at: Date.now(), event };
    this.items.push(item);
    while (this.items.length > ITEMS_MAX) this.drop(this.items[0]!, "queue_full");
    this.store();
    void this.send();
    return item;
  }

  /** Take over what pages before this one could not send. */
  adopt(): void {
    const known = new Set(this.items.map((item) => item.id));
    const now = Date.now();
    const found = stored(this.name).filter((item) => !known.has(item.id) && (item.left || item.at < now - ORPHANED_MS));
    this.items = [...found, ...this.items];
    void this.send();
  }

  /** The events of a browser id are those of another one: the service has replaced it. */
  rename(from: string, to: string): void {
    this.items = this.items.map((item) => (item.visitor === from ? { ...item, visitor: to } : item));
    this.store();
  }

  /** Forget every event. */
  clear(): void {
    this.items = [];
    writeLocal(this.name, null);
  }

  /** Send now, whatever the service said before: the network is back. */
  retry(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    void this.send();
  }

  /** The page may be going: send what fits. What is not accepted stays in the outbox. */
  leave(): void {
    let bytes = 0;
    for (const item of [...this.items]) {
      const body = this.write(item);
      if (body === undefined) continue;
      bytes += body.length * 2;
      item.left = true;
      if (bytes <= LEAVING_BYTES_MAX) void post(this.sender.url, body, true).then((answer) => this.settle(item, answer));
    }
    this.store();
  }

  /** One event after the other: what the service says to one, the next one repeats. */
  private async send(): Promise<void> {
    if (this.isSending || this.timer !== undefined) return;
    this.isSending = true;
    try {
      for (let item = this.items[0]; item && this.timer === undefined; item = this.items[0]) {
        const body = this.write(item);
        if (body === undefined) continue;
        this.store();
        this.settle(item, await post(this.sender.url, body, false));
      }
    } finally {
      this.isSending = false;
    }
  }

  private write(item: Item): string | undefined {
    const body = item.body ?? (item.at < Date.now() - AGE_MAX_MS ? null : this.sender.write(item));
    if (body === null) {
      this.drop(item, "not_sent");
      return undefined;
    }
    item.body = body;
    return body;
  }

  private settle(item: Item, answer: Answer): void {
    if (!this.items.some((waiting) => waiting.id === item.id)) return;
    if (answer.status >= 200 && answer.status < 300) {
      this.waitMs = 0;
      this.remove(item);
      this.sender.accepted(item, answer);
    } else if (answer.status >= 400 && answer.status < 500 && answer.status !== 408 && answer.status !== 429) {
      this.drop(item, "rejected");
    } else {
      this.wait(answer.retryAfterMs ?? 0);
    }
  }

  /** Longer each time, and not for all browsers at once. */
  private wait(leastMs: number): void {
    this.waitMs = Math.min(WAIT_MAX_MS, this.waitMs * 2 || WAIT_FIRST_MS);
    const waitMs = Math.max(leastMs, this.waitMs * (0.5 + Math.random() / 2));
    this.timer ??= setTimeout(() => this.retry(), waitMs);
  }

  private drop(item: Item, reason: string): void {
    this.remove(item);
    this.sender.dropped(item, reason);
  }

  private remove(item: Item): void {
    this.items = this.items.filter((waiting) => waiting.id !== item.id);
    this.store(item.id);
  }

  /** Other tabs' events stay where they are; `gone` does not. */
  private store(gone?: string): void {
    const own = new Set(this.items.map((item) => item.id));
    const others = stored(this.name).filter((item) => !own.has(item.id) && item.id !== gone);
    const all = [...others, ...this.items].slice(-ITEMS_MAX);
    while (all.length && JSON.stringify(all).length > STORED_CHARS_MAX) all.shift();
    writeLocal(this.name, all.length ? JSON.stringify(all) : null);
  }
}

function stored(name: string): Item[] {
  const items = parseJson(readLocal(name));
  return Array.isArray(items) ? items.filter(isItem) : [];
}

function isItem(value: unknown): value is Item {
  const item = value as Item | null;
  return (
    typeof item === "object" && item !== null && typeof item.id === "string" && typeof item.visitor === "string" &&
    typeof item.at === "number" && typeof item.event === "object" && item.event !== null
  );
}
