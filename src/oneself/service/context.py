"""What a use-case is called with: who acts, and on which dataset.

Lives here: values that every service package shares. Must not know: any use-case, the database, any wire.
"""

from typing import Any

import msgspec

from oneself.core.resolution.observation import SenderTrust

#: The dataset that every organisation has; the customer data service works on it.
DEFAULT_DATASET = "default"


class Actor(msgspec.Struct, frozen=True):
    """Who acts. Source: docs/concepts/trust.md."""

    #: The interface the request came through: cds, interactions, sign-in, cli, …
    interface: str
    #: The client id in the caller's token; None without a token.
    application: str | None = None
    #: How far the sender is trusted.
    trust: SenderTrust = "server"
    #: The name of the console user who acts; None for everybody else.
    console_user: str | None = None

    @property
    def author(self) -> dict[str, Any]:
        """Who changes a configuration: keywords of `Configurations.change`."""
        return {
            "interface": self.interface,
            "application": self.application,
            "console_user": self.console_user,
        }


#: Whoever administers without the console, as the log names them.
ADMINISTRATOR = Actor("admin")


class DatasetRef(msgspec.Struct, frozen=True):
    """An organisation and one of its datasets: the default one unless the request names another."""

    #: The organisation's key in the database.
    org_id: int
    #: The organisation's name in paths.
    handle: str
    #: The dataset's key in the database.
    dataset_id: int
    #: The dataset's name within the organisation.
    dataset: str = DEFAULT_DATASET
