"""What the parts of the server know of themselves, as metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from starlette.routing import Route

from lwm2m_server.bus import Bus
from lwm2m_server.counts import Counts
from lwm2m_server.http.counting import Requests
from lwm2m_server.http.feed import Feed
from lwm2m_server.http.metrics import EventCounts, Figures, Slow, Source, metrics_route
from lwm2m_server.hub import Hub
from lwm2m_server.lag import Lag
from lwm2m_server.sinks.runner import Deliveries
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.updates.opening import Updating


def measured(
    hub: Hub,
    ledger: SqliteLedger,
    bus: Bus,
    counts: Counts,
    deliveries: Deliveries,
    updating: Updating,
    feed: Feed,
    requests: Requests,
    lag: Lag,
) -> Route:
    """``/metrics`` of a server."""
    sources = (
        hub_source(hub),
        gateway_source(counts),
        ledger_source(ledger),
        delivery_source(deliveries),
        update_source(updating),
        http_source(requests, feed, lag),
        EventCounts(bus).figures,
    )
    return metrics_route(sources, [queue_source(ledger), telemetry_source(ledger)])


def gateway_source(counts: Counts) -> Source:
    """By listener, under the names of ``docs/reference/counts.md``."""

    def figures() -> Iterator[Figures]:
        by_name: dict[str, dict[str, float]] = {}
        for source, numbers in counts.read().items():
            for name, number in numbers.items():
                by_name.setdefault(name, {})[source] = number
        for name, values in by_name.items():
            is_total = name.endswith("_total")
            yield Figures(name, "See the reference of counts.", values, "listener", is_total)

    return figures


def delivery_source(deliveries: Deliveries) -> Source:
    def figures() -> Iterator[Figures]:
        totals = deliveries.totals()
        yield Figures("deliveries_waiting", "Notices on their way.", totals.waiting)
        yield Figures("deliveries_waiting_bytes", "Their size.", totals.waiting_bytes)
        outcomes = {"delivered": totals.delivered, "failed": totals.failed, "dead": totals.dead}
        yield Figures(
            "deliveries_total", "Notices delivered or given up; attempts failed.", outcomes, "outcome", True
        )

    return figures


def update_source(updating: Updating) -> Source:
    def figures() -> Iterator[Figures]:
        states = Counter(update.state.value for update in updating.updates.open)
        offers = updating.offers
        yield Figures("updates", "Updates of devices that are not over, by state.", states, "state")
        yield Figures("downloads", "Packages that devices may fetch.", len(offers))
        yield Figures("download_bytes_total", "Bytes of packages fetched.", offers.served, "", True)
        yield Figures("downloads_refused_total", "Requests without a good token.", offers.refused, "", True)

    return figures


def ledger_source(ledger: SqliteLedger) -> Source:
    def figures() -> Iterator[Figures]:
        wrote = ledger.figures
        yield Figures("ledger_commit_seconds", "Time a transaction took.", wrote.seconds)
        yield Figures("ledger_operations_total", "Changes in transactions.", wrote.operations, "", True)
        yield Figures(
            "ledger_failures_total", "Transactions that could not be stored.", wrote.failures, "", True
        )
        yield Figures("ledger_bytes", "Size of the database files.", ledger.sizes(), "file")

    return figures


def queue_source(ledger: SqliteLedger) -> Slow:
    """A look at all queues."""

    async def figures() -> Sequence[Figures]:
        waiting = await ledger.apart(lambda reader: reader.count_waiting())
        return [Figures("messages_waiting", "Messages in outgoing-msg of all devices.", waiting)]

    return figures


def telemetry_source(ledger: SqliteLedger) -> Slow:
    """A look at all chunks of history."""

    async def figures() -> Sequence[Figures]:
        found = await ledger.apart(lambda reader: reader.telemetry_figures())
        return [
            Figures("telemetry_values", "Values of devices that are history.", found["values"]),
            Figures("telemetry_chunks", "Rows they lie in.", found["chunks"]),
            Figures("telemetry_undecoded", "Payloads that became no values.", found["undecoded"]),
            Figures("telemetry_waiting_bytes", "What is in the journal of values.", ledger.values_waiting),
        ]

    return figures


def hub_source(hub: Hub) -> Source:
    def figures() -> Iterator[Figures]:
        yield Figures("registrations", "Devices that are registered.", hub.registered)
        yield Figures("exchanges", "Requests to devices under way.", hub.under_way)
        yield Figures("ledger_ok", "1 if the last commit was stored.", float(hub.problem is None))

    return figures


def http_source(requests: Requests, feed: Feed, lag: Lag) -> Source:
    def figures() -> Iterator[Figures]:
        by_status = {str(status): count for status, count in sorted(requests.statuses.items())}
        yield Figures("http_requests_total", "Answers by status.", by_status, "status", True)
        yield Figures("http_requests_open", "Requests that are being answered.", requests.open)
        yield Figures("event_readers", "Clients that follow the events.", feed.followers)
        yield Figures("loop_lag_seconds", "How late the event loop was.", lag.seconds)

    return figures
