"""The webhook: notices posted over HTTP, one after the other; 2xx is success."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from lwm2m_server.settings import DeliverySettings
from lwm2m_server.sinks.addresses import AddressGuard, open_guard
from lwm2m_server.sinks.headers import BadHeader, read_headers
from lwm2m_server.sinks.posting import NoAnswer, Posting
from lwm2m_server.sinks.protocols import Endpoint, Refused, Retry
from lwm2m_server.sinks.targets import check_url, masked
from lwm2m_server.store.records import Notice

RELEASE: Final = "4"
"""``X-M2M-RVI``"""


class WebHooks:
    """Makes the sinks, which have one pool of connections in common. Raises ``SettingsError``."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._guard = open_guard(settings)
        self._posting = Posting(self._guard, settings)

    def __call__(self, endpoint: Endpoint) -> WebHook:
        """Raises ``Refused``."""
        return WebHook(self._posting, endpoint, self._guard)

    async def close(self) -> None:
        await self._posting.close()


class WebHook:
    """One endpoint."""

    limit: ClassVar[int] = 1

    def __init__(self, posting: Posting, endpoint: Endpoint, guard: AddressGuard) -> None:
        self._posting, self._addresses = posting, endpoint.addresses
        for address in endpoint.addresses:
            try:
                reason = guard.literal_refusal(check_url(address))
            except ValueError as error:
                reason = f"{masked(address)}: {error}"
            if reason is not None:
                raise Refused(reason)
        try:
            headers = read_headers(endpoint.headers)
        except BadHeader as error:
            raise Refused(f"poah: {error}") from error
        self._headers = {
            "Content-Type": "application/json",
            "X-M2M-Origin": f"/{endpoint.tenant}",
            "X-M2M-RVI": RELEASE,
            **headers,
        }

    async def deliver(self, batch: Sequence[Notice]) -> None:
        for notice in batch:
            await self.post(f"{notice.id:x}", notice.body.encode())

    async def post(self, request_id: str, body: bytes) -> None:
        """To the first address that takes it. Raises ``Retry``."""
        headers = {**self._headers, "X-M2M-RI": request_id}
        failed: list[Retry] = []
        for address in self._addresses:
            try:
                answer = await self._posting.post(address, headers, body)
            except NoAnswer as error:
                failed.append(Retry(f"{masked(address)}: {error}"))
                continue
            if 200 <= answer.status < 300:
                return
            failed.append(Retry(f"{masked(address)}: answered {answer.status}", answer.retry_after))
        raise failed[0] if len(failed) == 1 else _of_all(failed)

    async def close(self) -> None:
        """The connections are everybody's."""


def _of_all(failed: Sequence[Retry]) -> Retry:
    """To be tried again when the first of them may be."""
    waits = [error.after or 0.0 for error in failed]
    return Retry("; ".join(map(str, failed)), min(waits) or None)
