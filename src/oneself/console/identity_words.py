"""What the settings of datasets, identity types and channels are called on pages, and what they mean.

Invariants: one plain sentence for each; what is safe follows docs/concepts/trust.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from oneself.console.words import Options

#: Setting of a dataset that is one of several words → name, what it decides.
SETTINGS: Options = {
    "channel_identity_conflict": (
        "Two customer numbers",
        "What two different values of the customer number (user.id) on one profile mean.",
    ),
    "asserted_merges": (
        "What pages may merge",
        "Whether an identity that only a page named may merge two people whom servers or sign-ins know.",
    ),
    "identity_trust": ("Two values of an identity", "Which of two values of one identity type remains."),
    "merged_anonymous": (
        "A known browser without an identity",
        "Whose profile an event belongs to that names nobody, on a browser that somebody used before.",
    ),
    "default_view": ("Default view", "What applications read that name no view."),
    "report_joins": (
        "Reports of the identity server",
        "When a reported sign-in joins the browser and the user.",
    ),
}
#: The same → word → name, explanation.
CHOICES: Mapping[str, Options] = {
    "channel_identity_conflict": {
        "keep_apart": (
            "Keep apart",
            "They are two people, who are never merged automatically. The safe choice.",
        ),
        "replace": ("Replace", "The newer number replaces the other one, and the two people are merged."),
    },
    "asserted_merges": {
        "unprotected": (
            "Nobody whom servers know",
            "A page merges only what no server and no sign-in knows. Choose it where people read profiles.",
        ),
        "all": (
            "People without an account",
            "A page may also merge people whom servers know, unless one has a user. Only in the view All.",
        ),
        "unrestricted": (
            "Anybody",
            "Not safe: whoever opens a page can merge two customers in the view All.",
        ),
    },
    "identity_trust": {
        "tiered": ("The more trusted one", "What servers said goes before what pages say. The safe choice."),
        "timestamp": ("The newer one", "A page can replace what a server said."),
    },
    "merged_anonymous": {
        "follow": ("The last user", "The event belongs to the last user of the browser."),
        "fresh": ("A new visitor", "A new profile begins. Choose it for shared devices."),
    },
    "default_view": {
        "own": ("Own", "What the owner is proven to have. The narrowest view."),
        "proven": ("Proven", "What servers and sign-ins said. Safe for applications that show it to people."),
        "all": ("All", "Everything that is believed, also what pages said. Never show it to visitors."),
    },
    "report_joins": {
        "at_once": ("At once", "The report itself joins them. It proves nothing to whoever reads."),
        "confirmed": (
            "When confirmed",
            "A request with the browser's tracker and the user's token joins them.",
        ),
    },
}
#: A switch of an identity type → name, explanation.
TYPE_SWITCHES: Options = {
    "trusted_only": (
        "Only from servers",
        "Values from pages and apps identify nobody. Choose it for numbers that are easy to guess.",
    ),
    "proves_identity": (
        "Proves who somebody is",
        "Safe only if a server of yours checks the value. The user then owns, and can read, what servers "
        "began with it.",
    ),
    "conflict_blocks_merge": (
        "Different values keep people apart",
        "Profiles with two different values are never merged automatically.",
    ),
    "blocks_default_values": (
        "Placeholders are blocked",
        "Values such as null, n/a or 123456 identify nobody. Switch it off only if such values are real.",
    ),
}
#: What never changes of an identity type → name, explanation.
FIXED_SWITCHES: Options = {
    "is_unique": (
        "Identifies one person",
        "One profile of a dataset holds a value. Without it, values are stored and never matched.",
    ),
    "case_sensitive": ("Case sensitive", "A1 and a1 are different values."),
}
#: Channel → name, explanation.
CHANNELS: Options = {
    "Web": ("Web", "Events of pages."),
    "Server": ("Server", "Events of your servers."),
    "Mobile": ("Mobile", "Events of apps. Their only identity is user.id."),
    "OpenTimeEmail": ("Opened e-mail", "Events of e-mails that are opened. Their only identity is user.id."),
}
