/** Cookies of this page, and the domain that its subdomains share. */

const YEAR_S = 365 * 24 * 3600;

/** How long a cookie lives after the last visit, in seconds: two years. */
export const COOKIE_LIFE_S = 2 * YEAR_S;

/** Every value that a page sees under one name. The same name can be set for the host and for its domain. */
export function cookieValues(cookies: string, name: string): string[] {
  return cookies
    .split("; ")
    .filter((part) => part.startsWith(`${name}=`))
    .map((part) => part.slice(name.length + 1));
}

/** The domains that could be the registrable one, the shortest first: `acme.example` of `www.shop.acme.example`. */
export function domainCandidates(host: string): string[] {
  // An address is no name: 127.0.0.1, [::1].
  if (/^[\d.]+$|:/.test(host)) return [];
  const labels = host.split(".");
  return labels.slice(1).map((_, index) => labels.slice(labels.length - 2 - index).join("."));
}

/** Set a cookie for a domain; "" is this host alone. Returns whether the page can read it afterwards. */
export function setCookie(name: string, value: string, domain: string, lifeS: number = COOKIE_LIFE_S): boolean {
  try {
    const parts = [`${name}=${value}`, "path=/", `max-age=${lifeS}`, "samesite=lax"];
    if (domain) parts.push(`domain=${domain}`);
    if (location.protocol === "https:") parts.push("secure");
    document.cookie = parts.join("; ");
    return cookieValues(document.cookie, name).includes(value);
  } catch {
    return false;
  }
}

/** Every value of a cookie that the page may read; none where cookies are blocked. */
export function readCookies(name: string): string[] {
  try {
    return cookieValues(document.cookie, name);
  } catch {
    return [];
  }
}

/** The registrable domain of this page; "" where there is none or the browser does not say. */
export function findCookieDomain(): string {
  const probe = "oneself_probe";
  for (const domain of domainCandidates(location.hostname)) {
    const works = setCookie(probe, "1", domain);
    setCookie(probe, "", domain, 0);
    if (works) return domain;
  }
  return "";
}
