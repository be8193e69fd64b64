"""Metrics on their way to who keeps them: as a text that Prometheus reads, by a Pushgateway, in a file."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, delete_from_gateway, push_to_gateway, write_to_textfile
from prometheus_client.exposition import choose_encoder

from reelkeeper.errors import ConfigurationError, MonitoringUnavailable, ReelkeeperError, TransientError
from reelkeeper.model import ReplicaState
from reelkeeper.reporting.rounds import Round

log = logging.getLogger(__name__)

JOB = "reelkeeper"
"""What the series of a Pushgateway are grouped by, with the estate's name."""
PUSH_SECONDS = 10.0


def exposition(registry: CollectorRegistry, accept: str = "") -> tuple[bytes, str]:
    """The metrics as text, and its content type: OpenMetrics where `accept` (an HTTP header) asks for a version of it
    that there is, else the text format 0.0.4.
    """
    try:
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type
    except (TypeError, ValueError):  # a version that is no number: prometheus_client takes the header's word for it
        encode, content_type = choose_encoder("")
        return encode(registry), content_type


def push(registry: CollectorRegistry, url: str, *, estate: str) -> None:
    """Put the metrics into a Pushgateway, in the place of what this estate put there before.

    MonitoringUnavailable when it does not answer, ConfigurationError when it refuses them.
    """
    with _gateway_errors(url):
        push_to_gateway(url, JOB, registry, grouping_key={"estate": estate}, timeout=PUSH_SECONDS)


def try_gateway(url: str, *, estate: str) -> None:
    """Put no metrics into a Pushgateway, in a group of its own, and take that away: what was pushed stays as it is.

    Errors as of `push`.
    """
    job, group = f"{JOB}_doctor", {"estate": estate}
    with _gateway_errors(url):
        push_to_gateway(url, job, CollectorRegistry(), grouping_key=group, timeout=PUSH_SECONDS)
        delete_from_gateway(url, job, grouping_key=group, timeout=PUSH_SECONDS)


@contextmanager
def _gateway_errors(url: str) -> Iterator[None]:
    from urllib.error import HTTPError

    try:
        yield
    except HTTPError as exc:
        told = f"metrics.pushgateway_url is {url!r}: it answered {exc.code} {exc.reason}"
        if exc.code >= 500 or exc.code == 429:
            raise MonitoringUnavailable(told) from exc
        raise ConfigurationError(f"{told}: expected a Pushgateway that takes metrics without credentials") from exc
    except OSError as exc:
        raise MonitoringUnavailable(f"metrics.pushgateway_url is {url!r}: it did not answer ({exc})") from exc


def write_textfile(registry: CollectorRegistry, path: Path) -> None:
    """Write the metrics to a file, which is whole at any time: it is written beside and moved into place.

    ConfigurationError when its folder is not there or may not be written, MonitoringUnavailable when the disk fails.
    """
    try:
        write_to_textfile(str(path), registry)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as exc:
        raise ConfigurationError(
            f"metrics.textfile is {str(path)!r}: expected a folder that this worker may write to ({exc.strerror})"
        ) from exc
    except OSError as exc:
        raise MonitoringUnavailable(f"metrics.textfile {str(path)!r} could not be written: {exc.strerror}") from exc


def publish_by_all(ways: Mapping[str, Callable[[], None]]) -> None:
    """Go every way, whatever fails on another. What failed is raised at the end: what may pass rather than what stays,
    so that it is tried again.
    """
    failures: list[ReelkeeperError] = []
    for name, go in ways.items():
        try:
            go()
        except ReelkeeperError as exc:
            log.error("metrics could not be published by %s: %s", name, exc)
            failures.append(exc)
    if failures:
        raise next((failure for failure in failures if isinstance(failure, TransientError)), failures[0])


def main_figures(taken: Round) -> dict[str, float]:
    """A handful of figures of the whole estate, for those who keep no labels. What nobody knows is left out."""
    figures, rollout = taken.figures, taken.figures.rollout
    cost, oldest, judged = figures.monthly_usd(), rollout.oldest_unmigrated, taken.alarms_judged_at
    found: dict[str, float | None] = {
        "stored_bytes": sum(usage.size_bytes for usage in figures.usage if usage.state != ReplicaState.LOST),
        "unprotected_segments": figures.unprotected_segments,
        "orphans": sum(store.orphans for store in figures.stores),
        "queued_items": sum(figures.queued.values()),
        "rollout_ratio": rollout.ratio,
        "unmigrated_segments": rollout.unmigrated,
        "oldest_unmigrated_age_seconds": 0.0 if oldest is None else (figures.now - oldest).total_seconds(),
        "monthly_cost_usd": None if cost is None else float(cost),
        "stores_not_up": sum(store.health not in ("healthy", "unknown") for store in figures.stores),
        "cameras_silent": taken.silent_cameras,
        "alarms_judged_age_seconds": None if judged is None else max(0.0, (figures.now - judged).total_seconds()),
        "alarms_up": sum(count for (_, state), count in taken.alarms.items() if state != "pending"),
    }
    return {name: float(value) for name, value in found.items() if value is not None}
