"""Who acts: through which face, for which application, and how far we trust it (DESIGN §8)."""

import msgspec

from oneself.core.resolution.observation import SenderTrust


class Actor(msgspec.Struct, frozen=True):
    """`face`: cds, sign_in, cli…; `application`: the client id that the caller's token names."""

    face: str
    application: str | None = None
    trust: SenderTrust = "server"
