"""What the environment says of alarms: how long to wait, and where a notice goes."""

from __future__ import annotations

import json
from typing import cast
from uuid import UUID

from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.events.actions import ActionTypes, CallWebhook, SendNotification
from prefect.exceptions import ObjectNotFound
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from seqmodel.errors import SpecError

#: Name of the block that a webhook of the environment becomes.
BLOCK = "seqmodel-alarm"
#: What a notice says, as templates that the server fills.
ABOUT = {
    "alarm": "{{ automation.name }}",
    "means": "{{ automation.description }}",
    "run": "{{ flow_run.name }}",
    "state": "{{ flow_run.state.name }}",
    "page": "{{ flow_run|ui_url }}",
}


class AlarmSettings(BaseSettings):
    """Alarms of one machine, from `SEQMODEL_ALARM_*`; without them nothing is sent to anybody."""

    model_config = SettingsConfigDict(env_prefix="SEQMODEL_ALARM_", extra="ignore")

    silence: float = Field(
        26.0, gt=0, description="time without a success that raises an alarm (hours)"
    )
    zombie: float | None = Field(
        None, gt=0, description="silence after which a run is dead (seconds)"
    )
    webhook: SecretStr | None = Field(
        None, description="address that gets a JSON object of each alarm by POST"
    )
    block: str | None = Field(
        None,
        description="notification block of the server, such as sendgrid-email/ops for e-mail",
    )


def find_notice(client: SyncPrefectClient, settings: AlarmSettings) -> list[ActionTypes]:
    """Return the actions that send a notice; none where none is asked for.

    Args:
        client: of the server, which keeps the blocks.
        settings: of the environment.

    Raises:
        SpecError: if the block that is named is not there.
    """
    found: list[ActionTypes] = []
    if settings.webhook:
        saved = _save(settings.webhook)
        found.append(CallWebhook(block_document_id=saved, payload=json.dumps(ABOUT)))
    if settings.block:
        slug, _, name = settings.block.partition("/")
        try:
            block = client.read_block_document_by_name(name or "", slug)
        except ObjectNotFound:
            raise SpecError(
                f"found no block {settings.block!r} on the server, needed one such as"
                " sendgrid-email/ops; make it in the UI under Blocks, or correct"
                " SEQMODEL_ALARM_BLOCK"
            ) from None
        found.append(
            SendNotification(
                block_document_id=block.id,
                subject="{{ automation.name }}",
                body="\n".join(ABOUT.values()),
            )
        )
    return found


def _save(address: SecretStr) -> UUID:
    return cast("UUID", Webhook(url=address).save(BLOCK, overwrite=True))
