"""Every knob of the gateway, documented here once; `settings_reading` reads them from the file.

Rules of this file
1. A knob that is not listed here does not exist. No knob turns filtering off (leaks.md L098), and there is no default
   that discloses.
2. Tokens are verified by public keys only: no shared secret and no `none` among the algorithms.
3. Only `secret` asks the environment.
"""

import os
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from gateway.errors import ProfileError

DEVELOPMENT_ISSUER: Final = "urn:consent-gateway:development-issuer"
"""The `iss` of tokens made by `consent-gateway token`; accepted only where `development: true` stands."""

ALGORITHMS: Final = frozenset({"ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"})
"""Signature algorithms an issuer may be allowed (RFC 7518 section 3.1, the asymmetric ones)."""

PUSHES: Final = frozenset({"create"})
"""What may be written through a route that does not say: everything that is pushed."""


class Listener(msgspec.Struct, frozen=True):
    """Where one of the two planes listens. Port 0 takes any free one."""

    host: str = "127.0.0.1"
    port: int = 0


class Secret(msgspec.Struct, frozen=True):
    """Where a secret is: the environment variable `env`, or the first line of `file`. Exactly one is set."""

    env: str = ""
    file: str = ""


class Credentials(msgspec.Struct, frozen=True):
    """How the gateway shows itself to an upstream: `none`, `basic` (username, secret) or `bearer` (secret)."""

    kind: str = "none"
    username: str = ""
    secret: Secret | None = None


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One FHIR server behind the gateway, served at /{tenant}/{name}/."""

    tenant: str
    name: str
    owner: str  # id of the participant whose data these are: it discloses on a read, receives on a push
    upstream: str  # base URL of the FHIR server, without a slash at its end
    upstream_aliases: tuple[str, ...] = ()  # further base URLs by which that server calls itself; never asked
    source: str  # names whose patient ids these are (PatientKey.source); routes to one server may share it
    credentials: Credentials = Credentials()
    public_url: str  # base URL that clients use, without a slash at its end: what links and fullUrls are written with
    profile: str  # which profile decides
    switches: Mapping[str, bool] = {}  # choices the profile leaves to the operator, by name
    allow_open_upstream: bool = False  # serve although the upstream answers without credentials (L074)
    history: frozenset[str] = frozenset()  # types whose versions may be read (vread, history; L046, L047)
    read_again: bool = False  # read every match again by its id: a label in either view counts (L002)
    provenance: bool = True  # ask the upstream who made a record, where a Part 2 program may have
    terminology: bool = False  # offer $expand, $lookup, $validate-code, $subsumes, $translate of the upstream
    writes: frozenset[str] = PUSHES  # create (everything that is pushed), update, patch


class Issuer(msgspec.Struct, frozen=True, kw_only=True):
    """Whose tokens are accepted. Keys come from `jwks_file` or `jwks_url`; exactly one is set."""

    iss: str  # must equal the token's `iss`
    audience: str  # must stand in the token's `aud`
    algorithms: frozenset[str]
    jwks_url: str = ""  # https, or http on this machine
    jwks_file: str = ""


class Consents(msgspec.Struct, frozen=True):
    """Where consents live: `memory` (lost at stop, one worker), `sqlite` (file at `path`), `redis` (a Redis or Valkey
    server) or `upstream` (the FHIR servers of the routes, which are asked at each request)."""

    driver: str
    path: str = ""
    url: str | Secret = ""  # redis://, rediss:// or unix://; where it holds a password, a secret
    prefix: str = "consent-gateway"  # what the store's keys begin with: several stores may share a server
    replicas: int = 0  # replicas that must have a write before it is acknowledged
    durability_stated: bool = False  # the operator answers for a server that does not tell how it persists
    ca_file: str = ""  # certificates that a rediss:// server is verified by; "" = the system's
    by_identifier: tuple[str, ...] = ()  # search parameters by which `upstream` asks for identifiers too


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds that keep one request from taking what belongs to all. What exceeds one is refused, never cut short."""

    body_bytes: int = 32 * 1024 * 1024  # largest body, of a client or of an upstream
    json_depth: int = 64  # deepest nesting of JSON
    upstream_connect_s: float = 5.0  # wait for a connection to the upstream
    upstream_answer_s: float = 60.0  # wait for the upstream's whole answer
    upstream_connections: int = 100  # pooled connections a worker keeps to all upstreams
    client_idle_s: float = 30.0  # wait for a client's next byte
    drain_s: float = 20.0  # time that requests under way have after SIGTERM
    answer_step_s: float = 0.0  # answers begin at a multiple of this after their request came (L023); 0: at once
    clock_skew_s: int = 30  # how far an issuer's clock may differ from ours


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    data_plane: Listener
    control_plane: Listener
    workers: int = 1  # processes that serve the data plane
    zone: str = ""  # reads dates without offset where the profile names none; "": in doubt against disclosing (L086)
    development: bool = False  # accept tokens of the development issuer
    directory: str  # file of participants, clients, agreements and relationships
    profiles: tuple[str, ...] = ()  # folders of the operator's own profiles, beside those that come with the gateway
    consents: Consents
    ledger: str  # SQLite file of the disclosure ledger
    issuers: tuple[Issuer, ...]
    routes: tuple[Route, ...]
    consults: str = ""  # the route (tenant/name) that consent consults are about; "": CDS Hooks are not offered
    limits: Limits = Limits()


def secret(where: Secret, read: Callable[[str], str]) -> str:
    """Give a secret's value: from the environment, or from its file by `read`. Raises ProfileError if it is empty."""
    value = os.environ.get(where.env, "") if where.env else read(where.file).partition("\n")[0]
    if not value:
        raise ProfileError(f"the secret in {'variable ' + where.env if where.env else 'file ' + where.file} is empty")
    return value
