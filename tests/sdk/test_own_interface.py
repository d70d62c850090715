"""The own interface of the web SDK in a real Chromium, with a running service."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from .conftest import COOKIE, USER_AGENT, Site, Visit

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("sdk")]

HEX = re.compile(r"[0-9a-f]{16}")


def test_a_visitor_has_one_id_from_page_to_page(visit: Visit, stored_events: Any) -> None:
    visit.open().track("View")
    first = visit.sent[0]
    assert HEX.fullmatch(first["user"]["anonymousId"])
    assert first["user"]["anonymousProfileTracker"] == ""
    visit.open(path="/books").track("View")
    second = visit.sent[1]
    remembered = visit.stored()
    assert second["user"]["anonymousId"] == first["user"]["anonymousId"] == remembered["id"]
    assert second["user"]["anonymousProfileTracker"] == remembered["tracker"] != ""
    assert second["source"]["url"].endswith("/books")
    assert stored_events(first["eventId"], second["eventId"]) == [1, 1]


def test_who_is_known_stays_known(visit: Visit) -> None:
    """The page says once who it is; the persisted token says it from then on."""
    visit.open()
    visit.call("oneself.identify({emailAddress: 'ann@acme.example'})")
    (known,) = visit.wait("response")
    assert re.fullmatch("[0-9a-f]{24}", known["resolvedUserId"])
    visit.open(path="/books")
    again = visit.track("View")
    assert again["resolvedUserId"] == known["resolvedUserId"]
    assert visit.sent[1]["user"]["encryptedId"] == visit.stored()["token"]
    assert "identities" not in visit.sent[1]["user"]


def test_calls_say_what_the_wire_expects(visit: Visit) -> None:
    visit.open()
    visit.call(
        """
        oneself.page();
        oneself.page("Product", {catalogObject: {type: "Product", id: "knots"}});
        oneself.track("Purchase", {order: {id: "o-1", totalValue: 12}});
        oneself.identify("u-7", {emailAddress: "ben@acme.example"});
        oneself.setAttributes({plan: "gold"});
        """
    )
    visit.wait("response", 5)
    parts = [(event["interaction"], event.get("pageView", False)) for event in visit.sent]
    assert parts == [
        ({"name": "Page View"}, True),
        ({"name": "Product", "catalogObject": {"type": "Product", "id": "knots"}}, True),
        ({"name": "Purchase", "order": {"id": "o-1", "totalValue": 12}}, False),
        ({"name": "Identify"}, False),
        ({"name": "Set Attributes"}, False),
    ]
    said = [
        {name: event["user"].get(name) for name in ("id", "identities", "attributes")} for event in visit.sent
    ]
    assert said[3:] == [
        {"id": "u-7", "identities": {"emailAddress": "ben@acme.example"}, "attributes": None},
        {"id": None, "identities": None, "attributes": {"plan": "gold"}},
    ]


def test_signing_out_really_forgets(visit: Visit) -> None:
    visit.open()
    visit.call("oneself.identify({emailAddress: 'cay@acme.example'})")
    (known,) = visit.wait("response")
    before = visit.stored()
    visit.call("oneself.logout()")
    after = visit.stored()
    assert after["id"] != before["id"]
    assert "token" not in after
    assert "tracker" not in after
    assert [item["anonymousId"] for item in visit.heard("identity")] == [after["id"]]
    everything = visit.call("JSON.stringify(Object.assign({}, localStorage)) + document.cookie")
    for secret in (before["id"], before["token"], before["tracker"]):
        assert secret not in everything
    new = visit.track("View", 2)
    assert new["resolvedUserId"] == after["id"] != known["resolvedUserId"]


def test_an_answer_to_who_signed_out_is_not_remembered(visit: Visit) -> None:
    """The event is on its way while the visitor signs out."""
    visit.open()
    held: list[Any] = []
    visit.page.route("**/api2/event/**", lambda route: held.append(route))
    with visit.page.expect_request("**/api2/event/**"):
        visit.call("oneself.identify({emailAddress: 'dan@acme.example'})")
    visit.call("oneself.logout()")
    with visit.page.expect_response("**/api2/event/**"):
        held.pop().continue_()
    visit.page.unroute("**/api2/event/**")
    visit.track("View")
    assert visit.sent[-1]["user"]["anonymousId"] == visit.stored()["id"]
    assert "encryptedId" not in visit.sent[-1]["user"]
    assert "token" not in visit.stored()


def test_subdomains_are_one_visitor(visit: Visit) -> None:
    visit.open("www").track("View")
    visit.open("shop").track("View")
    ids = {event["user"]["anonymousId"] for event in visit.sent}
    assert len(ids) == 1
    (cookie,) = visit.page.context.cookies()
    assert (cookie["domain"], cookie["sameSite"]) == (".acme.example", "Lax")


def test_the_cookie_of_the_domain_counts_more_than_local_storage(visit: Visit) -> None:
    visit.open("www").track("View")
    other = "0123456789abcdef"
    visit.call(f"localStorage.setItem('{COOKIE}', JSON.stringify({{id: '{other}'}}))")
    visit.open("www")
    assert visit.call("oneself.anonymousId()") == visit.stored()["id"] != other
    assert json.loads(visit.call(f"localStorage.getItem('{COOKIE}')"))["id"] == visit.stored()["id"]


def test_a_lost_cookie_comes_back_from_local_storage(visit: Visit) -> None:
    visit.open().track("View")
    before = visit.stored()
    visit.page.context.clear_cookies()
    visit.open()
    after = visit.stored()
    assert after["id"] == before["id"]
    # Only the id was there: tokens are with the cookie alone.
    assert not {"token", "tracker"} & set(after)


@pytest.mark.parametrize(
    "value", ["", "%7B", "null", "%7B%22id%22%3A7%7D", "%7B%22id%22%3A%22not%20hex%22%7D"]
)
def test_an_emptied_cookie_is_no_cookie(visit: Visit, value: str) -> None:
    visit.open()
    before = visit.stored()["id"]
    visit.call(f"document.cookie = '{COOKIE}={value}; path=/; domain=acme.example'")
    visit.open()
    assert visit.stored()["id"] == before


NO_COOKIE_FOR_THE_DOMAIN = """
const real = Object.getOwnPropertyDescriptor(Document.prototype, "cookie");
Object.defineProperty(document, "cookie", {
  get: () => real.get.call(document),
  set: (text) => { if (!text.includes("domain=")) real.set.call(document, text); },
});
"""


def test_a_failed_probe_of_the_domain_splits_no_visitor(shop: Site, visit: Visit) -> None:
    """For one page, the browser accepts no cookie for the domain."""
    visit.open("www").track("View")
    shop.setup(before=NO_COOKIE_FOR_THE_DOMAIN)
    visit.open("www").track("View")
    shop.setup()
    visit.open("www").track("View")
    visit.open("shop").track("View")
    assert len({event["user"]["anonymousId"] for event in visit.sent}) == 1
    assert visit.stored()["domain"] == "acme.example"


def test_a_first_page_without_the_domain_is_the_same_visitor(shop: Site, visit: Visit) -> None:
    shop.setup(before=NO_COOKIE_FOR_THE_DOMAIN)
    visit.open("www").track("View")
    shop.setup()
    visit.open("www").track("View")
    visit.open("shop").track("View")
    assert len({event["user"]["anonymousId"] for event in visit.sent}) == 1
    assert visit.stored()["domain"] == "acme.example"


BLOCKED = {
    "everything throws": """
        const no = () => { throw new Error("no") };
        Object.defineProperty(document, "cookie", {get: no, set: no});
        Object.defineProperty(window, "localStorage", {get: no});
    """,
    "cookies are ignored, local storage is full": """
        Object.defineProperty(document, "cookie", {get: () => "", set: () => {}});
        Storage.prototype.setItem = () => { throw new Error("full") };
    """,
    "nothing is remembered, silently": """
        Object.defineProperty(document, "cookie", {get: () => "", set: () => {}});
        Storage.prototype.setItem = () => {};
        Storage.prototype.getItem = () => null;
    """,
}


@pytest.mark.parametrize("name", sorted(BLOCKED))
def test_without_storage_a_page_has_one_id(shop: Site, visit: Visit, name: str) -> None:
    shop.setup(before=BLOCKED[name])
    visit.open()
    visit.call("oneself.identify({emailAddress: 'eve@acme.example'})")
    visit.wait("response")
    visit.track("View", 2)
    visit.track("View", 3)
    assert len({event["user"]["anonymousId"] for event in visit.sent}) == 1
    assert visit.sent[2]["user"]["encryptedId"]
    assert visit.heard("error") == []


def test_a_cookie_that_cannot_be_replaced_is_not_believed(shop: Site, visit: Visit) -> None:
    """Writing fails, reading gives what was there before: after signing out, nobody is the former visitor."""
    visit.open()
    visit.call("oneself.identify({emailAddress: 'fay@acme.example'})")
    visit.wait("response")
    before = visit.stored()["id"]
    shop.setup(
        before="""
        const real = Object.getOwnPropertyDescriptor(Document.prototype, "cookie");
        Object.defineProperty(document, "cookie", {get: () => real.get.call(document), set: () => {}});
        """
    )
    visit.open()
    visit.call("oneself.logout()")
    visit.track("View")
    assert visit.sent[-1]["user"]["anonymousId"] != before
    assert "encryptedId" not in visit.sent[-1]["user"]


def test_an_open_tab_notices_who_signed_out_elsewhere(visit: Visit, shop: Site) -> None:
    visit.open("www")
    visit.call("oneself.identify({emailAddress: 'gil@acme.example'})")
    visit.wait("response")
    other = Visit(visit.page.context.new_page(), shop).open("shop")
    other.call("oneself.logout()")
    new = other.stored()["id"]
    visit.track("View", 2)
    assert visit.sent[-1]["user"]["anonymousId"] == new
    assert "encryptedId" not in visit.sent[-1]["user"]
    assert visit.heard("identity")[-1]["anonymousId"] == new


def test_an_open_tab_notices_who_signed_in_elsewhere(visit: Visit, shop: Site) -> None:
    visit.open("www").track("View")
    other = Visit(visit.page.context.new_page(), shop).open("shop")
    other.call("oneself.identify({emailAddress: 'hal@acme.example'})")
    (known,) = other.wait("response")
    assert visit.track("View", 2)["resolvedUserId"] == known["resolvedUserId"]


def test_an_id_in_a_link_is_nobodys_own(visit: Visit) -> None:
    stranger = "fedcba9876543210"
    names = (
        "anonymousId",
        "anonId",
        ".anonId",
        COOKIE,
        "oneself",
        "anonymous_profile_tracker",
        "encryptedId",
    )
    query = "&".join(f"{name}={stranger}" for name in names)
    visit.open(path=f"/?{query}#{query}").track("View")
    assert stranger not in json.dumps(visit.sent[0]["user"])


def test_programs_send_nothing(chromium: Any, shop: Site) -> None:
    for agent in ("HeadlessChrome/140", "Googlebot/2.1", "facebookexternalhit/1.1"):
        opened = chromium.new_context(user_agent=f"Mozilla/5.0 {agent}")
        visit = Visit(opened.new_page(), shop).open()
        assert visit.heard("ready") == [{"sends": False}]
        visit.call("oneself.track('View')")
        assert (visit.sent, opened.cookies()) == ([], [])
        opened.close()


def test_a_page_that_is_loaded_ahead_waits_until_it_is_seen(shop: Site, visit: Visit) -> None:
    shop.setup(before="Object.defineProperty(document, 'prerendering', {get: () => !window.seen});")
    visit.page.goto(shop.address())
    visit.page.wait_for_function("!oneself.q")
    visit.call("oneself.track('View')")
    assert (visit.sent, visit.page.context.cookies()) == ([], [])
    visit.call("window.seen = true; document.dispatchEvent(new Event('prerenderingchange'))")
    visit.wait("response")
    assert [event["interaction"]["name"] for event in visit.sent] == ["View"]


@pytest.mark.parametrize("how", ["requireConsent", "Global Privacy Control"])
def test_nothing_is_stored_or_sent_before_consent(shop: Site, visit: Visit, how: str) -> None:
    if how == "requireConsent":
        shop.setup(requireConsent=True)
    else:
        shop.setup(before="Object.defineProperty(navigator, 'globalPrivacyControl', {value: true});")
    visit.open()
    assert visit.heard("ready") == [{"sends": False}]
    visit.call("oneself.track('Before'); oneself.identify('u-1'); oneself.anonymousId()")
    assert (visit.sent, visit.page.context.cookies()) == ([], [])
    assert visit.call("localStorage.length") == 0
    visit.call("oneself.consent('Tracking', true)")
    visit.wait("response")
    visit.track("After", 2)
    names = [event["interaction"]["name"] for event in visit.sent]
    assert names == ["Consent", "After"]
    assert visit.sent[0]["consents"] == [{"purpose": "Tracking", "provider": "", "status": "Opt In"}]
    visit.open()
    assert visit.heard("ready") == [{"sends": True}]


def test_who_does_not_agree_any_more_is_forgotten(visit: Visit, stored_events: Any) -> None:
    visit.open().track("View")
    before = visit.stored()["id"]
    with visit.page.expect_response("**/api2/event/**"):
        visit.call("oneself.consent('Tracking', false)")
    refusal = visit.sent[-1]
    assert refusal["consents"][0]["status"] == "Opt Out"
    visit.call("oneself.track('After')")
    assert visit.call("oneself.anonymousId() ?? null") is None
    assert before not in visit.call("JSON.stringify(Object.assign({}, localStorage)) + document.cookie")
    visit.open()
    assert visit.heard("ready") == [{"sends": False}]
    assert visit.sent[-1]["eventId"] == refusal["eventId"]


@pytest.mark.parametrize("is_same_page", [True, False])
def test_who_agrees_again_is_a_new_visitor(visit: Visit, is_same_page: bool) -> None:
    visit.open().track("View")
    before = visit.stored()["id"]
    with visit.page.expect_response("**/api2/event/**"):
        visit.call("oneself.consent('Tracking', false)")
    if not is_same_page:
        visit.open()
    visit.call("oneself.consent('Tracking', true)")
    visit.page.wait_for_function("heard.at(-1)[0] === 'response'")
    visit.call("oneself.track('After')")
    visit.page.wait_for_function(
        "heard.at(-1)[0] === 'response' && heard.at(-1)[1].event.interaction.name === 'After'"
    )
    assert visit.sent[-1]["user"]["anonymousId"] == visit.stored()["id"] != before
    assert visit.stored()["choices"] == {"Tracking": True}


def test_a_refusal_in_one_tab_holds_in_another(visit: Visit, shop: Site) -> None:
    visit.open().track("View")
    other = Visit(visit.page.context.new_page(), shop).open()
    with other.page.expect_response("**/api2/event/**"):
        other.call("oneself.consent('Tracking', false)")
    before = len(visit.sent)
    visit.call("oneself.track('After')")
    assert visit.call("oneself.anonymousId() ?? null") is None
    assert len(visit.sent) == before


def test_calls_before_the_script_are_made_when_it_is_there(visit: Visit, shop: Site) -> None:
    """They are made in order. The pages of all these tests call `init` before the script is loaded."""
    visit.page.route("**/sdk/oneself.js*", lambda route: None)
    visit.page.goto(shop.address(), wait_until="commit")
    visit.page.wait_for_function("window.oneself && oneself.q.length >= 7")
    visit.call("for (const name of ['A', 'B']) oneself.track(name)")
    visit.page.unroute("**/sdk/oneself.js*")
    tag = visit.call("document.querySelector('script[src]').src")
    visit.page.add_script_tag(url=tag)
    visit.wait("response", 2)
    assert [event["interaction"]["name"] for event in visit.sent] == ["A", "B"]


def test_a_script_that_never_comes_disturbs_nothing(visit: Visit, shop: Site) -> None:
    visit.page.route("**/sdk/oneself.js*", lambda route: route.abort())
    visit.page.goto(shop.address())
    visit.call("for (let n = 0; n < 1000; n++) oneself.track('View')")
    assert visit.call("oneself.q.length") == 100


def test_no_call_throws_into_the_page(visit: Visit) -> None:
    visit.open()
    visit.call(
        """
        const ring = {}; ring.ring = ring;
        oneself.track("Ring", ring);
        oneself.track();
        oneself.track("Big", {n: 10n});
        oneself.identify(null);
        oneself.consent();
        oneself.signIn("http://[");
        oneself.init({url: "again", dataset: "x"});
        oneself.on("send", () => { throw new Error("a listener") });
        """
    )
    assert visit.wait("error")
    assert visit.failures == []


def test_a_single_page_site_sends_its_pages(shop: Site, visit: Visit) -> None:
    shop.setup(pages="auto")
    visit.open()
    visit.call("history.pushState(null, '', '/books'); history.pushState(null, '', '/books')")
    visit.call("history.replaceState(null, '', '/books?by=name'); history.back()")
    visit.wait("response", 4)
    paths = [urlsplit(event["source"]["url"]).path for event in visit.sent]
    assert paths == ["/", "/books", "/books", "/books"]


def test_signing_in_carries_the_tracker(visit: Visit, shop: Site) -> None:
    visit.open().track("View")
    tracker = visit.stored()["tracker"]
    visit.call(f"oneself.signIn('{shop.address(path='/sign-in?x=1')}')")
    visit.page.wait_for_url("**/sign-in?*")
    query = parse_qs(urlsplit(visit.page.url).query)
    assert query == {"x": ["1"], "anonymous_profile_tracker": [tracker]}


def test_a_first_visitor_who_signs_in_has_a_tracker(visit: Visit) -> None:
    visit.open()
    visit.call(
        """
        document.body.innerHTML = "<form action='/authorize'><input name=client_id value=shop></form>";
        oneself.signIn(document.querySelector("form"));
        """
    )
    visit.page.wait_for_url("**/authorize?*")
    query = parse_qs(urlsplit(visit.page.url).query)
    assert query == {"client_id": ["shop"], "anonymous_profile_tracker": [visit.stored()["tracker"]]}


def test_without_a_token_nobody_reads_a_profile(visit: Visit) -> None:
    visit.open().track("View")
    requests: list[str] = []
    visit.page.on("request", lambda request: requests.append(request.url))
    assert visit.call("oneself.profile()") is None
    assert requests == []


def test_no_page_waits_for_the_browsers_unload(visit: Visit) -> None:
    """A listener for `unload` would keep the page out of the back/forward cache."""
    assert "HeadlessChrome" not in USER_AGENT
    source = visit.open().call(
        "fetch(document.querySelector('script[src]').src).then((answer) => answer.text())"
    )
    assert "unload" not in source
