/** The page that a script runs in: what it is, and when it comes and goes. */

// A telephone by Cubot is none.
const BOT = /(^|[^u])bot\b|crawl|spider|slurp|headless|lighthouse|prerender|preview|facebookexternalhit/i;

/** Whether this is a program that reads pages, and no visitor. */
export function isBot(userAgent: string = navigator.userAgent): boolean {
  return BOT.test(userAgent);
}

/** Whether the visitor's browser says that their data must not be sold or shared (Global Privacy Control). */
export function asksForPrivacy(): boolean {
  return (navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl === true;
}

/** Call when the visitor sees the page: at once, or when a page that was loaded ahead is opened. */
export function whenShown(begin: () => void): void {
  if ((document as { prerendering?: boolean }).prerendering) {
    document.addEventListener("prerenderingchange", begin, { once: true });
  } else begin();
}

/** What may become of a page after it was loaded. */
export interface PageEvents {
  /** It may be going, for ever: send what there is. There is no `unload`, which would keep it out of the back/forward cache. */
  leave(): void;
  /** It is seen again: other tabs and pages may have changed everything. */
  comeBack(): void;
  /** The network is back. */
  online(): void;
  /** Another page of the site has changed local storage, maybe while this one was loading. */
  stored(): void;
}

/** Call what becomes of the page. */
export function watchPage(events: PageEvents): void {
  addEventListener("pagehide", events.leave);
  addEventListener("pageshow", (event) => event.persisted && events.comeBack());
  addEventListener("online", events.online);
  addEventListener("storage", events.stored);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") events.leave();
    else events.comeBack();
  });
}

/** Call after each change of the address without a new page. */
export function watchNavigation(changed: () => void): void {
  let address = location.href;
  const check = (): void => {
    if (location.href === address) return;
    address = location.href;
    changed();
  };
  for (const name of ["pushState", "replaceState"] as const) {
    const original = history[name];
    history[name] = function (...parameters: Parameters<History["pushState"]>): void {
      original.apply(this, parameters);
      check();
    };
  }
  addEventListener("popstate", check);
}
