"""One line of log and a few numbers for each request. Never an id, a query value or a word of content (leaks.md L072).

Rules of this file
1. Log fields and metric labels come from closed sets: route as configured, interaction, type, status, error class.
2. An exception is told by its class and the place in our code, never by its text.
3. Other libraries' log text is dropped unless the library is listed: it may quote what passes through.
"""

import logging
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram

from gateway import clock
from gateway.decision.model import Decision
from gateway.fhir.interaction import Interaction

LOGGER: Final = logging.getLogger("gateway")
_TRUSTED: Final = frozenset({"gateway", "uvicorn.error"})
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_OWN: Final = Path(__file__).resolve().parent.parent


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of one request. `template` is the route's form, such as `/{tenant}/{route}/Observation/{id}`."""

    request: str  # our own random id
    route: str = ""  # tenant/name as configured, "" outside every route
    template: str = ""
    interaction: str = "unknown"
    method: str
    status: int
    milliseconds: float
    error: str = ""  # class of the error that was answered
    why: str = ""  # what the upstream did, in our own words, where it is at fault


class Alerted(msgspec.Struct, frozen=True):
    """What is told of an alert: of a closed set, at which route, in which request."""

    route: str
    alert: str
    request: str


class Trace(msgspec.Struct):
    """What is known of a request so far; the fields are those of Request."""

    request: str
    method: str
    route: str = ""
    template: str = ""
    interaction: str = "unknown"
    error: str = ""
    why: str = ""

    def told(self, interaction: Interaction) -> None:
        """Take the form of what is asked: type, never an id."""
        self.interaction = interaction.kind.value
        self.template += interaction.type or ""
        self.template += "/{id}" if interaction.id else ""


class Telemetry:
    """Counts and logs requests. `registry` is served by the control plane."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        names = ("route", "interaction", "status")
        self._requests = Counter("gateway_requests", "requests answered", names, registry=self.registry)
        self._seconds = Histogram(
            "gateway_request_seconds",
            "time to answer a request",
            ("route", "interaction"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._verdicts = Counter(
            "gateway_decisions", "resources decided, by verdict", ("route", "verdict"), registry=self.registry
        )
        self._alerts = Counter(
            "gateway_alerts", "what a privacy officer is to look at", ("route", "alert"), registry=self.registry
        )
        self._again = Counter(
            "gateway_decided_again",
            "answers decided again because consents changed",
            ("route",),
            registry=self.registry,
        )

    def answered(self, request: Request) -> None:
        """Note one request that was answered, or given up."""
        self._requests.labels(request.route, request.interaction, str(request.status)).inc()
        self._seconds.labels(request.route, request.interaction).observe(request.milliseconds / 1000)
        LOGGER.info("request", extra={"told": request})

    def decided(self, route: str, decisions: Iterable[Decision]) -> None:
        """Count resources that were decided."""
        for decision in decisions:
            self._verdicts.labels(route, decision.verdict.value).inc()

    def alert(self, route: str, kind: str, request: str) -> None:
        """Tell of something that a privacy officer is to look at."""
        self._alerts.labels(route, kind).inc()
        LOGGER.warning("alert", extra={"told": Alerted(route, kind, request)})

    def decided_again(self, route: str) -> None:
        """Count one answer that was voided before it began."""
        self._again.labels(route).inc()


def tell_unforeseen(error: BaseException, request: str) -> None:
    """Log an exception nobody foresaw by rule 2."""
    LOGGER.error("unforeseen %s at %s in request %s", type(error).__name__, _place(error.__traceback__), request)


def _place(trace: TracebackType | None) -> str:
    own = [frame for frame in traceback.extract_tb(trace) if Path(frame.filename).is_relative_to(_OWN)]
    return f"{Path(own[-1].filename).relative_to(_OWN)}:{own[-1].lineno}" if own else "unknown"


class JsonLines(logging.Formatter):
    """Writes each record as one JSON object, by rule 3."""

    def format(self, record: logging.LogRecord) -> str:  # type: ignore[explicit-override]  # typing's is 3.12
        """Give the line. Exceptions are named by class alone."""
        line: dict[str, object] = {
            "at": clock.now().isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
        }
        if record.name.partition(":")[0] in _TRUSTED:
            line["say"] = record.getMessage()
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
        told = getattr(record, "told", None)
        if isinstance(told, msgspec.Struct):
            line |= msgspec.structs.asdict(told)
        return msgspec.json.encode(line).decode("utf-8")


def log_to(stream: logging.Handler, level: str = "INFO") -> None:
    """Send every log of the process through JsonLines to one stream; libraries are heard from WARNING up."""
    stream.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers = [stream]
    root.setLevel(logging.WARNING)
    LOGGER.setLevel(level)
    for name in ("aiohttp", "aiosqlite", "asyncio"):  # these quote URLs and values when they explain themselves
        logging.getLogger(name).setLevel(logging.WARNING)
