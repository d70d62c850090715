"""Organisation → Applications: the clients of an organisation, and what each may do.

Invariants: a page calls the use-cases that `/applications` of the admin interface calls. A secret is shown
once, in the answer to the form that made it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from litestar import Response

from oneself.console.application_form import ApplicationFields, fields_of, read_fields, version_of
from oneself.console.application_words import groups
from oneself.console.context import ConsoleContext, NoSuchPage, console_context, requires
from oneself.console.formats import api_request
from oneself.console.forms import accepted_form, first, page, see_done
from oneself.console.handlers import form_at, page_at
from oneself.console.query import required_text
from oneself.errors import InvalidInput, NotFound, PreconditionFailed
from oneself.service.directory.applications import (
    NAME_CHARACTERS_MAX,
    Application,
    Applications,
)
from oneself.web.forms import AnyRequest

AnyResponse = Response[Any]
SEE, CHANGE = requires("see_applications"), requires("change_applications")
CHANGED = "The application was changed. Tokens that allowed more have ended."
#: Fields of the form that a problem can be about.
FIELDS = frozenset({"name", "kind", "redirect_uris", "post_logout_redirect_uris", "permissions"})


@page_at("/applications", SEE)
async def application_list(request: AnyRequest) -> AnyResponse:
    """List the applications."""
    context = console_context(request)
    listed = await _applications(context).list(context.dataset_ref)
    return page(
        context,
        "applications.html",
        applications=[(item, application_url(context, item.client_id)) for item in listed],
        api=api_request(context, "applications"),
    )


@page_at("/applications/new", CHANGE)
async def new_application(request: AnyRequest) -> AnyResponse:
    """Show the form of a new application."""
    return _form(console_context(request), ApplicationFields())


@form_at("/applications/new", CHANGE)
async def create_application(request: AnyRequest) -> AnyResponse:
    """Create an application and show its client id and secret, once."""
    context, fields = console_context(request), ApplicationFields()
    try:
        async with accepted_form(context) as form:
            fields = read_fields(form)
            application, secret = await _applications(context).create(context.dataset_ref, fields.new())
    except InvalidInput as invalid:
        return _form(context, fields, _problems(invalid), status=400)
    return _secret_page(context, application, secret)


@page_at("/applications/application", SEE)
async def show_application(request: AnyRequest) -> AnyResponse:
    """Show an application: as a form to whoever may change it."""
    context = console_context(request)
    application = await _asked(context)
    if context.may("change_applications"):
        return _form(context, fields_of(application), application=application)
    return page(
        context,
        "application.html",
        application=application,
        groups=groups(application.permissions),
    )


@form_at("/applications/application", CHANGE)
async def change_application(request: AnyRequest) -> AnyResponse:
    """Change an application, unless somebody else did since the form was opened."""
    context = console_context(request)
    application = await _asked(context)
    fields = fields_of(application)
    try:
        async with accepted_form(context) as form:
            fields = read_fields(form)
            await _applications(context).change(
                context.dataset_ref,
                application.client_id,
                is_expected=lambda known: version_of(known) == first(form, "version"),
                **fields.changes(application.kind),
            )
    except InvalidInput as invalid:
        return _form(context, fields, _problems(invalid), application=application, status=400)
    except PreconditionFailed:
        return _form(context, fields, application=await _asked(context), status=409)
    except NotFound:
        raise NoSuchPage from None
    return see_done(context, f"{context.home}/applications", CHANGED)


@page_at("/applications/secret", CHANGE)
async def confirm_new_secret(request: AnyRequest) -> AnyResponse:
    """Say what a new secret does, and ask for confirmation."""
    context = console_context(request)
    application = await _asked_with_secret(context)
    back = application_url(context, application.client_id)
    return page(context, "application_new_secret.html", application=application, back=back)


@form_at("/applications/secret", CHANGE)
async def rotate_application_secret(request: AnyRequest) -> AnyResponse:
    """Replace the secret of an application and show the new one, once."""
    context = console_context(request)
    application = await _asked_with_secret(context)
    async with accepted_form(context):
        secret = await _applications(context).rotate_secret(context.dataset_ref, application.client_id)
    return _secret_page(context, application, secret, is_rotated=True)


@page_at("/applications/delete", CHANGE)
async def confirm_application_deletion(request: AnyRequest) -> AnyResponse:
    """Say what a deletion does, and ask for confirmation."""
    context = console_context(request)
    application = await _asked(context)
    back = application_url(context, application.client_id)
    return page(context, "application_delete.html", application=application, back=back)


@form_at("/applications/delete", CHANGE)
async def delete_application(request: AnyRequest) -> AnyResponse:
    """Delete an application, and end its tokens."""
    context = console_context(request)
    application = await _asked(context)
    async with accepted_form(context):
        await _applications(context).delete(context.dataset_ref, application.client_id)
    return see_done(context, f"{context.home}/applications", "The application was deleted.")


def application_url(context: ConsoleContext, client_id: str, step: str = "application") -> str:
    """The URL of a page about an application."""
    return f"{context.home}/applications/{step}?{urlencode({'id': client_id})}"


def _applications(context: ConsoleContext) -> Applications:
    return context.services.directory.applications


async def _asked(context: ConsoleContext) -> Application:
    """The application that a page is about. Raises InvalidParameter, NoSuchPage."""
    found = await _applications(context).find(context.dataset_ref, required_text(context.request, "id"))
    if found is None:
        raise NoSuchPage
    return found


async def _asked_with_secret(context: ConsoleContext) -> Application:
    """The same, if it can have a secret. Raises NoSuchPage."""
    application = await _asked(context)
    if application.kind == "browser":
        raise NoSuchPage
    return application


def _form(
    context: ConsoleContext,
    fields: ApplicationFields,
    problems: dict[str, str] | None = None,
    *,
    application: Application | None = None,
    status: int = 200,
) -> AnyResponse:
    """The form of a new application, or of a stored one. Status 409: somebody else changed it meanwhile."""
    return page(
        context,
        "application_form.html",
        status=status,
        fields=fields,
        problems=problems or {},
        application=application,
        version=version_of(application) if application else "",
        stored=fields_of(application) if application and status == 409 else None,
        groups=groups(_applications(context).known),
        name_characters_max=NAME_CHARACTERS_MAX,
        url_of=lambda step: application_url(context, application.client_id, step) if application else "",
    )


def _secret_page(
    context: ConsoleContext, application: Application, secret: str | None, *, is_rotated: bool = False
) -> AnyResponse:
    return page(
        context,
        "application_secret.html",
        application=application,
        secret=secret,
        is_rotated=is_rotated,
        back=application_url(context, application.client_id),
    )


def _problems(invalid: InvalidInput) -> dict[str, str]:
    """What is wrong: field → sentence."""
    return {invalid.code if invalid.code in FIELDS else "form": invalid.description}


ROUTES = (
    application_list,
    new_application,
    create_application,
    show_application,
    change_application,
    confirm_new_secret,
    rotate_application_secret,
    confirm_application_deletion,
    delete_application,
)
