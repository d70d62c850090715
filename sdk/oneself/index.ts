/**
 * The web SDK of Oneself.
 *
 *     oneself.init({ url: "https://oneself.example/t/acme", dataset: "web" })
 *     oneself.page()
 *     oneself.track("Add To Cart", { lineItem: { catalogObjectType: "Product", catalogObjectId: "knots" } })
 *     oneself.identify({ emailAddress: "ann@example.com" })
 *
 * No call throws into the page: what goes wrong is heard by `oneself.on("error", …)` and logged as a warning.
 */
import { Emitter } from "../core/emitter.js";
import { isBot, whenShown } from "../core/page.js";
import { Client, type Heard, type Identities, type Options } from "./client.js";

export type { Heard, Identities, Options };

/** Every call that the page may make, also before the script has loaded. */
export interface Oneself {
  /** Begin. Call it once, first. */
  init(options: Options): void;
  /** Something happened. `details`: more of the interaction, such as `order` or `catalogObject`. */
  track(name: string, details?: Record<string, unknown>): void;
  /** A page is seen. */
  page(name?: string, details?: Record<string, unknown>): void;
  /** The visitor says who they are: the site's own id of the user, other identities, or both. */
  identify(id: string | Identities, identities?: Identities): void;
  /** Values of the visitor that identify nobody. */
  setAttributes(attributes: Record<string, unknown>): void;
  /** The visitor agrees to a purpose, or does not. Without `Tracking`, nothing is stored or sent. */
  consent(purpose: string, isGiven: boolean, provider?: string): void;
  /** What the signed-in person may read of their profile (`/profiles/Me`); null without an access token. */
  profile(token?: string): Promise<unknown>;
  /** Open a sign-in address, or send a form, with the tracker: what this browser did becomes the person's own. */
  signIn(target: string | HTMLFormElement): void;
  /** Forget the visitor on every subdomain: id, tokens, and events that are not sent. */
  logout(): void;
  /** The id of this browser; undefined while nothing may be stored. */
  anonymousId(): string | undefined;
  /** Listen. Returns a function that ends it. */
  on<Name extends keyof Heard>(name: Name, listener: (detail: Heard[Name]) => void): () => void;
}

/** Make a client that is independent of others. */
export function create(): Oneself {
  const emitter = new Emitter<Heard>();
  let client: Client | undefined;
  let isStarted = false;
  const early: Array<() => void> = [];

  const fail = (error: unknown): void => {
    const message = error instanceof Error ? error.message : String(error);
    console.warn("oneself:", message);
    emitter.emit("error", { message });
  };
  /** Carry out a call once the visitor sees the page; what fails does not disturb it. */
  const call = (act: (client: Client) => unknown): void => {
    const run = (): void => {
      try {
        if (client) Promise.resolve(act(client)).catch(fail);
      } catch (error) {
        fail(error);
      }
    };
    if (isStarted) run();
    else if (early.length < EARLY_MAX) early.push(run);
  };

  return {
    init(options) {
      if (client || isStarted) return fail("init was called before; the second call changes nothing.");
      if (!options?.url || !options.dataset) return fail("init needs `url` and `dataset`.");
      if (isBot() && !options.allowBots) {
        isStarted = true;
        early.length = 0;
        return emitter.emit("ready", { sends: false });
      }
      client = new Client(options, emitter);
      whenShown(() => {
        isStarted = true;
        call((begun) => begun.start());
        for (const run of early.splice(0)) run();
      });
    },
    track: (name, details) => call((begun) => begun.track(name, details)),
    page: (name, details) => call((begun) => begun.page(name, details)),
    identify: (id, identities) => call((begun) => begun.identify(id, identities)),
    setAttributes: (attributes) => call((begun) => begun.setAttributes(attributes)),
    consent: (purpose, isGiven, provider) => call((begun) => begun.consent(purpose, isGiven, provider)),
    profile: async (token) => (client ? client.profile(token) : null),
    signIn: (target) => call((begun) => begun.signIn(target)),
    logout: () => call((begun) => begun.logout()),
    anonymousId: () => (isStarted ? client?.anonymousId() : undefined),
    on: (name, listener) => emitter.on(name, listener),
  };
}

/** Calls that wait for `init`, at most. */
const EARLY_MAX = 100;

const oneself: Oneself = create();
export default oneself;
