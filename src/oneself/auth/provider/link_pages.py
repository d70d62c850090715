"""What the pages of links in mails have in common: the secret, who asks, and why a link does not work."""

from __future__ import annotations

from collections.abc import Mapping

from oneself.auth.provider.mail_texts import LINK_PARAMETER
from oneself.auth.provider.page_context import AnyResponse, PageContext
from oneself.auth.provider.pages import message
from oneself.service.directory.account_links import LinkProblem
from oneself.service.directory.address_proofs import Asker
from oneself.web.forms import AnyRequest, sender_of
from oneself.web.user_agents import describe_browser

LINK_CHARACTERS_MAX = 100
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
        "A link works once, and ends when the address is confirmed or another link is used. "
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
}


def secret_of(context: PageContext) -> str:
    """Return the secret of the link in the URL of a page."""
    return (context.page_request.first(LINK_PARAMETER) or "")[:LINK_CHARACTERS_MAX]


def asker_of(request: AnyRequest) -> Asker:
    """Return who asks for a mail."""
    return Asker(describe_browser(request.headers.get("user-agent", "")), sender_of(request))


def problem_page(context: PageContext, problem: LinkProblem) -> AnyResponse:
    """Render why a link does not work, and where to go."""
    heading, sentence, status = _PROBLEMS[problem]
    link = f"{context.cookie_path}/accounts", "Go to your account"
    return message(context.dataset_ref.handle, heading, sentence, status=status, link=link)
