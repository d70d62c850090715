"""What `oneself doctor` says about the webhooks that send codes: whether they accept one."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from oneself.cli.finding import Finding

if TYPE_CHECKING:
    from oneself.service.context import DatasetRef
    from oneself.services import Services

SUBJECT = "codes"
#: What a webhook is told that the code is for.
PURPOSE = "test"
CODE = "000000"
CODE_LIFE_US = 600_000_000


async def check_webhook(
    services: Services, dataset_ref: DatasetRef, number: str | None
) -> AsyncIterator[Finding]:
    """Send a test code to `number` by the webhook of an organisation, if it has one; None: say how."""
    from oneself.adapters.webhook import OutgoingCode
    from oneself.errors import DeliveryDeferred, DeliveryRejected
    from oneself.service.directory.mobile_numbers import e164

    handle, webhook = dataset_ref.handle, await services.directory.code_webhooks.find(dataset_ref.org_id)
    if webhook is None:
        if number is not None:
            advice = f"Set one: oneself org set-code-webhook {handle} URL."
            yield Finding(SUBJECT, "warning", f"{handle}: no webhook sends codes.", advice)
        return
    if number is None:
        sentence = f"{handle}: sent to a webhook; to try it: oneself doctor --mobile NUMBER"
        yield Finding(SUBJECT, "good", sentence)
        return
    if (mobile := e164(number)) is None:
        advice = "Write it with its country code, such as +447700900123."
        yield Finding(SUBJECT, "bad", "No code can be sent to this number.", advice)
        return
    expires_at = time.time_ns() // 1000 + CODE_LIFE_US
    code = OutgoingCode(str(uuid.uuid4()), handle, handle, PURPOSE, mobile, CODE, expires_at)
    try:
        await services.directory.webhook_client.send(webhook.url, webhook.secret, code)
    except DeliveryRejected as error:
        advice = "The webhook answers, and does not accept the code. Check its log and the secret."
        yield Finding(SUBJECT, "bad", f"{handle}: {error.message}", advice)
    except DeliveryDeferred as error:
        advice = f"Check the URL and the receiver; oneself org show {handle} shows the URL."
        yield Finding(SUBJECT, "bad", f"{handle}: {error.message}", advice)
    else:
        yield Finding(SUBJECT, "good", f"{handle}: the webhook accepted the code {CODE}.")


def waiting_codes(number: int) -> list[Finding]:
    """Warn of codes that could not be sent yet."""
    if not number:
        return []
    advice = "To see why: oneself doctor --mobile NUMBER. They are tried again for ten minutes."
    return [Finding(SUBJECT, "warning", f"codes that could not be sent yet: {number}", advice)]
