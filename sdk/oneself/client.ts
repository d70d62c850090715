/** The client of one dataset: events out, the visitor's identity in. */
import { Emitter } from "../core/emitter.js";
import { Outbox, type Event, type Item } from "../core/outbox.js";
import { asksForPrivacy, watchNavigation, watchPage } from "../core/page.js";
import type { Answer } from "../core/transport.js";
import { VisitorStore, type Visitor } from "../core/visitor.js";

/** How the page is set up. */
export interface Options {
  /** The address of the organisation: `https://oneself.example/t/acme`, or without `/t/…` for the default one. */
  readonly url: string;
  /** The dataset that receives the events. */
  readonly dataset: string;
  /** A browser key of the dataset, if its administrator made one (`obk_…`). */
  readonly writeKey?: string;
  /** The domain that shares the cookie. Otherwise the registrable domain of the page. */
  readonly cookieDomain?: string;
  /** Store and send nothing before the visitor has agreed: `consent("Tracking", true)`. */
  readonly requireConsent?: boolean;
  /** `auto`: an event for this page and for each change of its address. */
  readonly pages?: "auto" | "manual";
  /** Send also what programs do. For tests of a site. */
  readonly allowBots?: boolean;
}

/** Names of values that identify people, with the values. */
export type Identities = Record<string, string>;

/** What listeners hear. */
export interface Heard {
  /** The client is ready; programs and visitors who did not agree send nothing. */
  ready: { sends: boolean };
  /** An event was put into the outbox. */
  send: { id: string; event: Event };
  /** The service has accepted an event. `resolvedUserId`: whose it is. */
  response: { id: string; event: Event; resolvedUserId: string | undefined };
  /** An event is not sent any more. */
  drop: { id: string; event: Event; reason: string };
  /** This browser has another visitor: somebody signed out, here or in another tab. */
  identity: { anonymousId: string };
  /** Something went wrong in a call. The page is not disturbed. */
  error: { message: string };
}

/** The purpose without which nothing is stored or sent. */
export const TRACKING = "Tracking";
/** As the event wire calls a choice. */
const STATUS = { true: "Opt In", false: "Opt Out" } as const;
/** The parameter of an authorize request that names the browser. */
const TRACKER_PARAMETER = "anonymous_profile_tracker";
/** Milliseconds that a sign-in waits for the tracker of a browser that has none yet. */
const TRACKER_WAIT_MS = 2000;

export class Client {
  private readonly store: VisitorStore;
  private readonly outbox: Outbox;
  /** The event that asks for a tracker: the others wait for its answer. */
  private asking: string | undefined;

  constructor(
    private readonly options: Options,
    private readonly emitter: Emitter<Heard>,
  ) {
    const name = `oneself_${options.dataset}`;
    this.store = new VisitorStore(name, options.cookieDomain);
    this.outbox = new Outbox(`${name}_outbox`, {
      url: eventUrl(options),
      write: (item) => this.write(item),
      accepted: (item, answer) => this.accept(item, answer),
      dropped: ({ id, event }, reason) => this.emitter.emit("drop", { id, event, reason }),
    });
  }

  /** Begin to send. */
  start(): void {
    this.store.refresh();
    watchPage({
      leave: () => this.outbox.leave(),
      comeBack: () => this.notice(),
      online: () => this.outbox.retry(),
      stored: () => this.takeOver(),
    });
    if (this.sends()) this.store.begin();
    this.takeOver();
    this.emitter.emit("ready", { sends: this.sends() });
    if (this.options.pages === "auto") {
      this.page();
      watchNavigation(() => this.page());
    }
  }

  /** The id of this browser; undefined while nothing may be stored. */
  anonymousId(): string | undefined {
    this.notice();
    return this.store.current?.id;
  }

  /** Something happened. `details`: more of the interaction, such as `order` or `catalogObject`. */
  track(name: string, details: Event = {}): void {
    this.send({ interaction: { ...details, name } });
  }

  /** A page is seen. */
  page(name = "Page View", details: Event = {}): void {
    this.send({ interaction: { ...details, name }, pageView: true });
  }

  /** The visitor says who they are. `id`: the site's own id of the user. */
  identify(id: string | Identities, identities: Identities = {}): void {
    const user = typeof id === "string" ? { id, identities } : { identities: id };
    this.send({ interaction: { name: "Identify" }, user });
  }

  /** Values of the visitor that identify nobody. */
  setAttributes(attributes: Event): void {
    this.send({ interaction: { name: "Set Attributes" }, user: { attributes } });
  }

  /** The visitor agrees to a purpose, or does not. Without `Tracking`, nothing more is stored or sent. */
  consent(purpose: string, isGiven: boolean, provider = ""): void {
    this.notice();
    const sent = this.sends();
    this.store.choose(purpose, isGiven);
    if (!sent && this.sends()) this.store.begin();
    const consents = [{ purpose, provider, status: STATUS[`${isGiven}`] }];
    if (sent || this.sends()) this.put({ interaction: { name: "Consent" }, consents, flags: { nonInteractive: true } });
    if (!this.sends()) this.stop();
  }

  /** What the signed-in person may read of their profile; null without a token. */
  async profile(token?: string): Promise<unknown> {
    if (!token) return null;
    const headers = { Authorization: `Bearer ${token}`, Accept: "application/json" };
    const answer = await fetch(`${base(this.options)}/cds/api/v1/profiles/Me`, { headers, credentials: "omit" });
    if (!answer.ok) throw new Error(`The profile cannot be read: the service answered ${answer.status}.`);
    return answer.json();
  }

  /** Go to a sign-in page, with what makes the visit the person's own. A form is sent, an address is opened. */
  async signIn(target: string | HTMLFormElement): Promise<void> {
    const tracker = await this.findTracker();
    if (typeof target === "string") {
      const url = new URL(target, location.href);
      if (tracker) url.searchParams.set(TRACKER_PARAMETER, tracker);
      location.assign(url.href);
      return;
    }
    if (tracker) {
      const input = target.querySelector<HTMLInputElement>(`input[name=${TRACKER_PARAMETER}]`) ?? hiddenInput(target);
      input.value = tracker;
    }
    target.submit();
  }

  /** Forget the visitor: id, tokens and events that are not sent. The choices of the device stay. */
  logout(): void {
    this.outbox.clear();
    this.asking = undefined;
    if (this.store.current) this.announce(this.store.renew());
  }

  private sends(): boolean {
    const choice = this.store.choices[TRACKING];
    return choice ?? !(this.options.requireConsent || asksForPrivacy());
  }

  /** Send what a page left that went. */
  private takeOver(): void {
    if (this.sends()) this.outbox.adopt();
  }

  private send(event: Event): void {
    this.notice();
    if (this.sends()) this.put(event);
  }

  private put(event: Event): void {
    const visitor = this.store.current ?? this.store.begin();
    const item = this.outbox.add(visitor.id, { ...event, source: source() });
    this.emitter.emit("send", { id: item.id, event: item.event });
  }

  /** Another tab or subdomain may have signed in or out: what it left behind counts. */
  private notice(): void {
    if (!this.store.refresh()) return;
    this.outbox.clear();
    this.asking = undefined;
    if (this.store.current) this.announce(this.store.current);
  }

  /** The visitor does not agree any more: what is on its way is the last that is sent. */
  private stop(): void {
    this.outbox.leave();
    this.outbox.clear();
    this.store.forget();
  }

  private announce(visitor: Visitor): void {
    this.emitter.emit("identity", { anonymousId: visitor.id });
  }

  private write(item: Item): string | null {
    const visitor = this.store.current;
    const isTheirs = visitor?.id === item.visitor;
    const { token, tracker } = isTheirs ? visitor : ({} as Partial<Visitor>);
    if (isTheirs && !tracker) this.asking ??= item.id;
    const asks = this.asking === item.id;
    const user = {
      ...(item.event["user"] as Event | undefined),
      anonymousId: item.visitor,
      ...(token && { encryptedId: token }),
      ...((tracker || asks) && { anonymousProfileTracker: tracker ?? "" }),
    };
    return JSON.stringify({ ...item.event, eventId: item.id, user });
  }

  private accept(item: Item, answer: Answer): void {
    const body = (answer.body ?? {}) as EventAnswer;
    if (this.asking === item.id) this.asking = undefined;
    this.notice();
    const visitor = this.store.current;
    if (visitor && visitor.id === item.visitor) this.remember(visitor, body);
    const { id, event } = item;
    this.emitter.emit("response", { id, event, resolvedUserId: body.resolvedUserId });
  }

  private remember(visitor: Visitor, answer: EventAnswer): void {
    const token = answer.persistedUserId?.entityId || visitor.token;
    const tracker = answer.anonymousProfileTracker || visitor.tracker;
    const id = answer.anonymousId ?? visitor.id;
    if (id === visitor.id && token === visitor.token && tracker === visitor.tracker) return;
    this.store.update({ id, ...(token && { token }), ...(tracker && { tracker }) });
    if (id !== visitor.id) this.outbox.rename(visitor.id, id);
  }

  /** The tracker of this browser. One that has none yet asks for it. */
  private async findTracker(): Promise<string | undefined> {
    this.notice();
    if (!this.sends() || this.store.current?.tracker) return this.store.current?.tracker;
    if (!this.outbox.size) this.put({ interaction: { name: "Sign In" }, flags: { nonInteractive: true } });
    return new Promise((resolve) => {
      const end = (): void => {
        stop();
        clearTimeout(timer);
        resolve(this.store.current?.tracker);
      };
      const stop = this.emitter.on("response", end);
      const timer = setTimeout(end, TRACKER_WAIT_MS);
    });
  }
}

/** The part of an answer that a browser remembers. */
interface EventAnswer {
  readonly resolvedUserId?: string;
  readonly persistedUserId?: { readonly entityId?: string };
  readonly anonymousId?: string;
  readonly anonymousProfileTracker?: string;
}

function base({ url }: Options): string {
  return url.replace(/\/+$/, "");
}

function eventUrl(options: Options): string {
  const key = options.writeKey ? `?writeKey=${encodeURIComponent(options.writeKey)}` : "";
  return `${base(options)}/api2/event/${encodeURIComponent(options.dataset)}${key}`;
}

/** Where and when: of the moment in which the event happened, not in which it is sent. */
function source(): Event {
  return {
    channel: "Web",
    url: location.href,
    ...(document.referrer && { urlReferrer: document.referrer }),
    ...(document.documentElement.lang && { locale: document.documentElement.lang }),
    time: Date.now(),
  };
}

function hiddenInput(form: HTMLFormElement): HTMLInputElement {
  const input = document.createElement("input");
  input.type = "hidden";
  input.name = TRACKER_PARAMETER;
  form.append(input);
  return input;
}
