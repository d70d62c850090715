import assert from "node:assert/strict";
import { test } from "node:test";
import { cookieValues, domainCandidates } from "../core/cookies.js";
import { isAnonymousId, newAnonymousId, newEventId } from "../core/ids.js";
import { isBot } from "../core/page.js";

test("the domains of a host, the shortest first", () => {
  const expected: Record<string, string[]> = {
    "www.shop.acme.example": ["acme.example", "shop.acme.example", "www.shop.acme.example"],
    "acme.example": ["acme.example"],
    localhost: [],
    "127.0.0.1": [],
    "[::1]": [],
  };
  for (const [host, domains] of Object.entries(expected)) assert.deepEqual(domainCandidates(host), domains, host);
});

test("every value of a cookie, and no cookie of a similar name", () => {
  assert.deepEqual(cookieValues("a=1; aa=2; a=3; b=a=4", "a"), ["1", "3"]);
  assert.deepEqual(cookieValues("", "a"), []);
});

test("ids are random and have the form of the wire", () => {
  const ids = new Set(Array.from({ length: 1000 }, newAnonymousId));
  assert.equal(ids.size, 1000);
  for (const id of ids) assert.ok(isAnonymousId(id));
  assert.match(newEventId(), /^[0-9a-f]{32}$/);
  for (const other of ["", "0123456789ABCDEF", "0123456789abcde", "0123456789abcdef0", 7, null]) {
    assert.ok(!isAnonymousId(other), String(other));
  }
});

test("programs are not people", () => {
  const people = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Linux; Android 15; CUBOT X90) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
  ];
  const programs = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0.0.0 Safari/537.36",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
  ];
  for (const agent of people) assert.ok(!isBot(agent), agent);
  for (const agent of programs) assert.ok(isBot(agent), agent);
});
