"""The development outbox: the mails and codes of an organisation while no mail server is set up.

Invariants: only a browser on this machine sees it, because links and codes prove addresses. A
request that a proxy passed on is not from this machine, and neither is one that names another host, as a page
of another site would by a DNS name of its own that leads here.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from litestar import get

from oneself.auth.provider.endpoints import directory_of, organisation_of
from oneself.auth.provider.mail_texts import SIGNATURE, day_and_time
from oneself.auth.provider.page_context import AnyResponse
from oneself.auth.provider.pages import message, page
from oneself.service.context import DatasetRef
from oneself.service.delivery.outbox import CodeMessage, DeliveredLetter
from oneself.web.forms import AnyRequest
from oneself.web.sessions import LOOPBACK_NAME

OUTBOX_PATH = "accounts/outbox"
_FORWARDING = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


@get(f"/t/{{org:str}}/{OUTBOX_PATH}", include_in_schema=False)
async def outbox(request: AnyRequest) -> AnyResponse:
    """Show the mails and codes that no server took, because there is none."""
    dataset_ref = await organisation_of(request)
    if outbox_link(request, dataset_ref) is None:
        sentence = "It exists only while no mail server is set up, and only for browsers on the same machine."
        return message(dataset_ref.handle, "There is no outbox here", sentence, status=404)
    mails = await directory_of(request).outbox.list_delivered(dataset_ref)
    return page("outbox.html", dataset_ref.handle, mails=[_render(mail) for mail in mails])


ROUTES = (outbox,)


def outbox_link(request: AnyRequest, dataset_ref: DatasetRef) -> tuple[str, str] | None:
    """The URL of the development outbox and a text for it, if this browser may see it."""
    if not directory_of(request).outbox.is_visible or not _is_from_this_machine(request):
        return None
    return f"/t/{dataset_ref.handle}/{OUTBOX_PATH}", "Open the development outbox"


def _render(letter: DeliveredLetter) -> dict[str, object]:
    content, at = letter.content, day_and_time(letter.created_at)
    if isinstance(content, CodeMessage):
        subject, paragraphs = "Code for a mobile number", [f"Your code is {content.code}."]
    else:
        parts = content.text.split("\n\n")
        subject, paragraphs = content.subject, [part for part in parts if not part.startswith(SIGNATURE)]
    return {"subject": subject, "recipient": letter.recipient, "at": at, "paragraphs": paragraphs}


def _is_from_this_machine(request: AnyRequest) -> bool:
    public_host = urlsplit(directory_of(request).tokens.public_url).netloc
    host = request.headers.get("host", "")
    names_are_local = all(LOOPBACK_NAME.fullmatch(name) for name in (public_host, host))
    is_direct = not any(name in request.headers for name in _FORWARDING)
    return names_are_local and is_direct and _is_loopback(request.client.host if request.client else "")


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
