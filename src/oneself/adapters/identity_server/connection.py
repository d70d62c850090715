"""The connection of an organisation to its identity server: URL, client credentials, and grant type. Source:
docs/wire/cds.md §13.

grant               token endpoint                          Authorization scheme
client_credentials  POST {url}/t/{org}/oauth2/token         Bearer
system_app_grant    POST {url}/t/carbon.super/oauth2/token  SystemApp
"""

from __future__ import annotations

from typing import Literal

import msgspec

Grant = Literal["client_credentials", "system_app_grant"]

SUPER_TENANT = "carbon.super"
SCOPES = (
    "internal_application_mgt_view internal_claim_meta_view internal_user_mgt_list internal_user_mgt_view"
)


class Connection(msgspec.Struct, frozen=True):
    """The connection settings. `url`: without a trailing slash and without `/t/{org}`."""

    url: str
    client_id: str
    client_secret: str
    grant: Grant = "client_credentials"

    def address(self, org: str, path: str) -> str:
        """The URL of a path of an organisation."""
        return f"{self.url}/t/{org}{path}"

    def token_address(self, org: str) -> str:
        """The URL of the token endpoint for an organisation."""
        return self.address(org if self.grant == "client_credentials" else SUPER_TENANT, "/oauth2/token")

    def token_form(self, org: str) -> dict[str, str]:
        """The form parameters of the token request. The client authenticates by HTTP Basic."""
        form = {"grant_type": self.grant, "scope": SCOPES}
        return form if self.grant == "client_credentials" else {**form, "organizationHandle": org}

    @property
    def scheme(self) -> str:
        """The scheme of the `Authorization` header."""
        return "Bearer" if self.grant == "client_credentials" else "SystemApp"
