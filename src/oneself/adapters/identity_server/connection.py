"""How an organisation reaches its identity server: address, client, and how a token is requested. Source:
docs/wire/cds.md §13.

grant               token from                              sent as
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
    """`url`: without a trailing slash and without `/t/{org}`."""

    url: str
    client_id: str
    client_secret: str
    grant: Grant = "client_credentials"

    def address(self, org: str, path: str) -> str:
        """A path of an organisation at this server."""
        return f"{self.url}/t/{org}{path}"

    def token_address(self, org: str) -> str:
        """Where tokens for an organisation are asked for."""
        return self.address(org if self.grant == "client_credentials" else SUPER_TENANT, "/oauth2/token")

    def token_form(self, org: str) -> dict[str, str]:
        """What is posted there, beside the client's Basic credentials."""
        form = {"grant_type": self.grant, "scope": SCOPES}
        return form if self.grant == "client_credentials" else {**form, "organizationHandle": org}

    @property
    def scheme(self) -> str:
        """How a token is shown."""
        return "Bearer" if self.grant == "client_credentials" else "SystemApp"
