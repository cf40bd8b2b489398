"""The text of the settings file becomes `Settings`: strictly, or not at all.

Rules of this file
1. An unknown key is refused by file, line and key; so is what several keys say against each other.
2. A secret is never written in the file; the file says where it is: an environment variable or another file.
3. Text in, values out; `bootstrap` reads the files.
"""

import re
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.settings import (
    ALGORITHMS,
    DEVELOPMENT_ISSUER,
    PUSHES,
    Consents,
    Credentials,
    Issuer,
    Limits,
    Listener,
    Route,
    Secret,
    Settings,
)
from gateway.strict_yaml import Node, load

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_RESERVED: Final = frozenset({"livez", "readyz", "metrics", "control"})
_TYPE: Final = re.compile(r"[A-Z][A-Za-z]{1,63}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PREFIX: Final = re.compile(r"[A-Za-z0-9:_.\-]{1,64}")
_REDIS: Final = frozenset({"redis", "rediss", "unix"})
_BY_IDENTIFIER: Final = frozenset({"patient.identifier", "patient:identifier"})
_WRITES: Final = frozenset({"create", "update", "patch"})
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def parse_settings(text: str, name: str) -> Settings:
    """Read the settings file. Raises ProfileError that names file, line and key of what is wrong."""
    top = load(text, name)
    settings = Settings(
        data_plane=_listener(top.at("data_plane"), 8080),
        control_plane=_listener(top.at("control_plane"), 8081),
        workers=top.at("workers").integer(1, least=1, most=64),
        zone=_zone(top.at("zone")),
        development=top.at("development").flag(default=False),
        directory=top.at("directory").text(),
        profiles=top.at("profiles").texts(),
        consents=_consents(top.at("consents")),
        ledger=top.at("ledger").text(),
        issuers=tuple(_issuer(node) for node in top.at("issuers").items()),
        routes=tuple(
            _route(tenant, name, node)
            for tenant, routes in top.at("tenants").entries()
            for name, node in _named(routes)
        ),
        consults=top.at("consults").text(""),
        limits=_limits(top.at("limits")),
    )
    top.finish()
    _agree(top, settings)
    return settings


def _agree(top: Node, settings: Settings) -> None:
    """Check what no single key shows."""
    if not settings.issuers:
        raise top.wrong("no issuer: nobody could be let in")
    if not settings.routes:
        raise top.wrong("no route: nothing to serve")
    issuers = [issuer.iss for issuer in settings.issuers]
    if len(set(issuers)) != len(issuers):
        raise top.at("issuers").wrong("an issuer stands twice")
    if DEVELOPMENT_ISSUER in issuers and not settings.development:
        raise top.at("issuers").wrong("the development issuer is accepted only with `development: true`")
    if settings.consents.driver == "memory" and settings.workers > 1:
        raise top.at("consents").wrong("the memory driver serves one worker only")
    servers: dict[str, str] = {}
    for route in settings.routes:
        if servers.setdefault(route.source, route.upstream) != route.upstream:
            raise top.wrong(f"the source `{route.source}` names two servers: their patient ids are not the same")
    _agree_on_aliases(top, settings.routes)
    if settings.consults and settings.consults not in {f"{route.tenant}/{route.name}" for route in settings.routes}:
        raise top.at("consults").wrong("names no route: say `tenant/route`")
    planes = settings.data_plane, settings.control_plane
    if planes[0] == planes[1] and planes[0].port:
        raise top.at("control_plane").wrong("the control plane has its own listener")


def _agree_on_aliases(top: Node, routes: tuple[Route, ...]) -> None:
    """Check that no server is called by the name of another: whose patients are whose would be lost."""
    for route in routes:
        for one in routes:
            taken = {one.upstream, *one.upstream_aliases, one.public_url} if one.source != route.source else set()
            if found := taken & set(route.upstream_aliases):
                raise top.wrong(f"`upstream_aliases` names the server of another source: {min(found)}")


def _listener(node: Node, port: int) -> Listener:
    if not node.present:
        return Listener(port=port)
    return Listener(node.at("host").text("127.0.0.1"), node.at("port").integer(port, least=0, most=65535))


def _zone(node: Node) -> str:
    text = node.text("")
    try:
        if text:
            ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError):
        raise node.wrong(f"`{text}` is not a time zone") from None
    return text


def _consents(node: Node) -> Consents:
    driver = node.at("driver").one_of({"memory", "sqlite", "redis", "upstream"})
    if driver == "sqlite":
        return Consents(driver, node.at("path").text())
    if driver == "upstream":
        parameters = node.at("by_identifier")
        return Consents(driver, by_identifier=tuple(one.one_of(_BY_IDENTIFIER) for one in parameters.items()))
    return _redis(node) if driver == "redis" else Consents(driver)


def _redis(node: Node) -> Consents:
    prefix, url, d = node.at("prefix"), node.at("url"), Consents("redis")
    if not _PREFIX.fullmatch(prefix.text(d.prefix)):
        raise prefix.wrong("must be letters, digits and :_.- only, 64 at most")
    return Consents(
        "redis",
        url=_redis_url(url) if url.kind == "scalar" else _secret(url),
        prefix=prefix.text(d.prefix),
        replicas=node.at("replicas").integer(d.replicas, least=0, most=16),
        durability_stated=node.at("durability_stated").flag(default=False),
        ca_file=node.at("ca_file").text(""),
    )


def _redis_url(node: Node) -> str:
    text = node.text()
    try:
        parts = urlsplit(text)
        password, known = parts.password, parts.scheme in _REDIS and not parts.query
    except ValueError:
        raise node.wrong("is not a URL") from None
    if password is not None:
        raise node.wrong("a password is not written here: say `{env: NAME}` or `{file: path}` for the whole URL")
    if not known:
        raise node.wrong("must be a redis://, rediss:// or unix:// URL without a query")
    return text


def _issuer(node: Node) -> Issuer:
    url, file = node.at("jwks_url"), node.at("jwks_file")
    if url.present == file.present:
        raise node.wrong("one of jwks_url and jwks_file is needed")
    algorithms = node.at("algorithms")
    for item in algorithms.items():
        item.one_of(ALGORITHMS)
    if not algorithms.items():
        raise node.wrong("algorithms is missing: list those that the issuer signs with")
    return Issuer(
        iss=node.at("iss").text(),
        audience=node.at("audience").text(),
        algorithms=frozenset(algorithms.texts()),
        jwks_url=_url(url, secure=True) if url.present else "",
        jwks_file=file.text(""),
    )


def _named(node: Node) -> tuple[tuple[str, Node], ...]:
    routes = node.at("routes")
    if not routes.entries():
        raise node.wrong("a tenant without routes")
    return routes.entries()


def _route(tenant: str, name: str, node: Node) -> Route:
    for part in (tenant, name):
        if not _NAME.fullmatch(part) or part in _RESERVED:
            raise node.wrong(f"`{part}` cannot be a path segment: lower case letters, digits and hyphens")
    return Route(
        tenant=tenant,
        name=name,
        owner=node.at("owner").text(),
        upstream=_url(node.at("upstream")),
        upstream_aliases=tuple(_url(each) for each in node.at("upstream_aliases").items()),
        source=node.at("source").text(f"{tenant}/{name}"),
        credentials=_credentials(node.at("credentials")),
        public_url=_url(node.at("public_url")),
        profile=node.at("profile").text(),
        switches={key: choice.flag() for key, choice in node.at("switches").entries()},
        allow_open_upstream=node.at("allow_open_upstream").flag(default=False),
        history=frozenset(_type_name(each) for each in node.at("history").items()),
        read_again=node.at("read_again").flag(default=False),
        provenance=node.at("provenance").flag(default=True),
        terminology=node.at("terminology").flag(default=False),
        writes=_writes(node.at("writes")),
    )


def _writes(node: Node) -> frozenset[str]:
    """Read what may be written through a route; an empty list: nothing."""
    return frozenset(each.one_of(_WRITES) for each in node.items()) if node.present else PUSHES


def _type_name(node: Node) -> str:
    text = node.text()
    if not _TYPE.fullmatch(text):
        raise node.wrong(f"`{text}` is not the name of a resource type")
    return text


def _credentials(node: Node) -> Credentials:
    kind = node.at("kind").one_of({"none", "basic", "bearer"})
    if kind == "basic":
        username = node.at("username").text()
        if ":" in username:
            raise node.at("username").wrong("a user name holds no colon (RFC 7617)")
        return Credentials(kind, username, _secret(node.at("password")))
    return Credentials(kind, "", _secret(node.at("token"))) if kind == "bearer" else Credentials()


def _secret(node: Node) -> Secret:
    if node.kind == "scalar":
        raise node.wrong("a secret is not written here: say `{env: NAME}` or `{file: path}`")
    env, file = node.at("env"), node.at("file")
    if env.present == file.present:
        raise node.wrong("one of env and file is needed")
    if env.present and not _VARIABLE.fullmatch(env.text()):
        raise env.wrong("is not the name of an environment variable")
    return Secret(env.text(""), file.text(""))


def _url(node: Node, *, secure: bool = False) -> str:
    """Give an absolute http(s) URL without a slash at its end. `secure`: plain http only on this machine."""
    text = node.text()
    try:
        parts = urlsplit(text)
        host = parts.hostname
        _ = parts.port  # read for its check alone
    except ValueError:
        raise node.wrong("is not a URL") from None
    if parts.scheme not in {"http", "https"} or not host or not text.isascii() or " " in text:
        raise node.wrong("must be an absolute http or https URL")
    if "@" in parts.netloc or "?" in text or "#" in text:
        raise node.wrong("holds credentials, a query or a fragment; a base URL has none")
    if secure and parts.scheme != "https" and host not in _LOOPBACK:
        raise node.wrong("must be https")
    return text.rstrip("/")


def _limits(node: Node) -> Limits:
    if not node.present:
        return Limits()
    d = Limits()
    return Limits(
        body_bytes=node.at("body_bytes").integer(d.body_bytes, least=1024, most=1 << 30),
        json_depth=node.at("json_depth").integer(d.json_depth, least=8, most=256),
        upstream_connect_s=node.at("upstream_connect_s").number(d.upstream_connect_s, least=0.1),
        upstream_answer_s=node.at("upstream_answer_s").number(d.upstream_answer_s, least=0.1),
        upstream_connections=node.at("upstream_connections").integer(d.upstream_connections, least=1, most=10_000),
        client_idle_s=node.at("client_idle_s").number(d.client_idle_s, least=0.1),
        drain_s=node.at("drain_s").number(d.drain_s, least=0),
        answer_step_s=node.at("answer_step_s").number(d.answer_step_s, least=0),
        clock_skew_s=node.at("clock_skew_s").integer(d.clock_skew_s, least=0, most=300),
    )
