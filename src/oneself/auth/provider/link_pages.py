"""What the pages of links in mails have in common: the secret, who asks, and why a link does not work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

from oneself.auth.provider.mail_texts import LINK_PARAMETER, day_and_time
from oneself.auth.provider.page_context import AnyResponse, PageContext, form_page
from oneself.auth.provider.pages import message
from oneself.service.directory.account_links import LinkProblem
from oneself.service.directory.address_proofs import Asker
from oneself.web.forms import AnyRequest, sender_of
from oneself.web.user_agents import describe_browser

LINK_CHARACTERS_MAX = 100
PASSWORD_WRONG = "This is not the password of this account."  # noqa: S105
#: Why a link does not work: heading, sentence, status.
_PROBLEMS: Mapping[LinkProblem, tuple[str, str, int]] = {
    "unknown": (
        "This link does not work",
        "It is incomplete, or it belongs to another organisation or to an account that was deleted. "
        "Open the newest mail again, and copy the whole address.",
        404,
    ),
    "used": (
        "This link was used already",
        "A link works once, and ends when the address is confirmed, another link is used, or the account "
        "gets another password. "
        "Your account page says what your address is.",
        410,
    ),
    "expired": (
        "This link expired",
        "Nothing was changed. Your account page sends another one, or “Forgot your password?” "
        "on the sign-in page.",
        410,
    ),
    "moved": (
        "This link is for another address",
        "The account has another address by now, or another account has confirmed this one. "
        "Nothing was changed.",
        410,
    ),
    "not_accepted": (
        "Addresses are not confirmed by mail here",
        "The organisation does not accept this link any more. Nothing was changed. Ask the organisation to "
        "confirm your address.",
        410,
    ),
}


class MailedLink(Protocol):
    """What every link says: where it was sent, in which browser somebody asked for it, and when."""

    @property
    def address(self) -> str: ...

    @property
    def browser(self) -> str: ...

    @property
    def asked_at(self) -> int: ...


def secret_of(context: PageContext) -> str:
    """Return the secret of the link in the URL of a page."""
    return (context.page_request.first(LINK_PARAMETER) or "")[:LINK_CHARACTERS_MAX]


def link_url(context: PageContext, path: str) -> str:
    """Return the URL of a page of this organisation with the link of this page."""
    return f"{context.cookie_path}/{path}?{urlencode({LINK_PARAMETER: secret_of(context)})}"


def link_page(
    context: PageContext,
    template: str,
    path: str,
    link: MailedLink,
    problems: Mapping[str, str] | None = None,
    **values: Any,
) -> AnyResponse:
    """Render what a link is for, who asked for it, and a form that is sent to `path` with it."""
    return form_page(
        context,
        template,
        problems,
        address=link.address,
        browser=link.browser,
        asked_at=day_and_time(link.asked_at),
        action=link_url(context, path),
        **values,
    )


def asker_of(request: AnyRequest) -> Asker:
    """Return who asks for a mail."""
    return Asker(describe_browser(request.headers.get("user-agent", "")), sender_of(request))


def problem_page(context: PageContext, problem: LinkProblem) -> AnyResponse:
    """Render why a link does not work, and where to go."""
    heading, sentence, status = _PROBLEMS[problem]
    link = f"{context.cookie_path}/accounts", "Go to your account"
    return message(context.dataset_ref.handle, heading, sentence, status=status, link=link)
