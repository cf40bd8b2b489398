"""The settings file: what a whole one gives, and what each mistake is told by."""

import pytest

from gateway.errors import ProfileError
from gateway.settings import Consents, Credentials, Issuer, Limits, Listener, Secret, secret
from gateway.settings_reading import parse_settings

WHOLE = """\
data_plane: {host: 10.0.0.1, port: 8443}
control_plane: {port: 9000}
zone: America/New_York
directory: directory.yaml
consents: {driver: sqlite, path: consents.db}
ledger: ledger.db
issuers:
  - iss: https://id.example.org
    audience: https://gateway.example.org
    jwks_url: https://id.example.org/jwks
    algorithms: [ES256, RS256]
tenants:
  ny:
    routes:
      hospital:
        owner: hospital1
        upstream: https://fhir.internal:8000/r4/
        credentials: {kind: basic, username: gateway, password: {env: HOSPITAL_PASSWORD}}
        public_url: https://gateway.example.org/ny/hospital
        profile: us-part2
        switches: {unknown_source_is_sensitive: true}
limits: {body_bytes: 1048576}
"""


def test_a_whole_file_is_read():
    """Everything a file says arrives as values, and what it leaves out has its documented default."""
    settings = parse_settings(WHOLE, "gateway.yaml")
    assert Listener("10.0.0.1", 8443) == settings.data_plane
    assert Listener("127.0.0.1", 9000) == settings.control_plane
    (route,) = settings.routes
    assert ("ny", "hospital", "hospital1") == (route.tenant, route.name, route.owner)
    assert "https://fhir.internal:8000/r4" == route.upstream
    assert Credentials("basic", "gateway", Secret(env="HOSPITAL_PASSWORD")) == route.credentials
    assert {"unknown_source_is_sensitive": True} == route.switches
    assert route.allow_open_upstream is False
    assert {"create"} == route.writes
    assert 1048576 == settings.limits.body_bytes
    assert Limits().drain_s == settings.limits.drain_s
    expected = Issuer(
        iss="https://id.example.org",
        audience="https://gateway.example.org",
        algorithms=frozenset({"ES256", "RS256"}),
        jwks_url="https://id.example.org/jwks",
    )
    assert (expected,) == settings.issuers


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("ledger: ledger.db", "ledgers: ledger.db", "g.yaml:1: ledger: is missing"),
        ("zone:", "zones:", "g.yaml:3: zones: unknown key"),
        ("port: 8443", "prt: 8443", "g.yaml:1: data_plane.prt: unknown key"),
        ("profile: us", "strict: false\n        profile: us", "tenants.ny.routes.hospital.strict: unknown key"),
        ("America/New_York", "America/Newark", "`America/Newark` is not a time zone"),
        ("[ES256, RS256]", "[ES256, HS256]", "g.yaml:11: issuers[0].algorithms[1]: `HS256` is not one of"),
        ("[ES256, RS256]", "[none]", "`none` is not one of"),
        ("[ES256, RS256]", "[]", "algorithms is missing"),
        ("jwks_url: https", "jwks_url: http", "must be https"),
        ("jwks_url: https://id.example.org/jwks", "jwks_uri: x", "one of jwks_url and jwks_file is needed"),
        ("iss: https://id.example.org", "iss: urn:consent-gateway:development-issuer", "`development: true`"),
        ("{env: HOSPITAL_PASSWORD}", "hunter2", "a secret is not written here"),
        ("{env: HOSPITAL_PASSWORD}", "{env: A, file: b}", "one of env and file is needed"),
        ("{env: HOSPITAL_PASSWORD}", "{env: 'A B'}", "is not the name of an environment variable"),
        ("kind: basic", "kind: digest", "`digest` is not one of basic, bearer, none"),
        ("kind: basic", "kind: none", "credentials.username: unknown key"),
        ("https://fhir.internal", "https://user:pw@fhir.internal", "holds credentials"),
        ("https://fhir.internal:8000", "ftp://fhir.internal", "must be an absolute http or https URL"),
        ("https://fhir.internal:8000", "https://fhir.internal:80000", "is not a URL"),
        ("hospital:\n", "Hospital:\n", "`Hospital` cannot be a path segment"),
        ("hospital:\n", "x.y:\n", "`x.y` cannot be a path segment"),
        ("ny:\n", "livez:\n", "`livez` cannot be a path segment"),
        ("driver: sqlite, path: consents.db", "driver: memory\n  , path: x", "consents.path: unknown key"),
        (
            "driver: sqlite, path: consents.db",
            "driver: postgres",
            "`postgres` is not one of memory, redis, sqlite, upstream",
        ),
        ("sqlite, path: consents.db", "redis", "consents.url"),
        ("sqlite, path: consents.db", "redis, url: 'redis://:pw@h'", "a password is not written here"),
        ("sqlite, path: consents.db", "redis, url: 'http://h'", "must be a redis://, rediss:// or unix:// URL"),
        ("sqlite, path: consents.db", "redis, url: 'redis://h?db=1'", "must be a redis://, rediss:// or unix:// URL"),
        ("sqlite, path: consents.db", "redis, url: 'redis://[h'", "is not a URL"),
        ("sqlite, path: consents.db", "redis, url: 'redis://h', prefix: 'a b'", "consents.prefix: must be letters"),
        ("sqlite, path: consents.db", "redis, url: 'redis://h', appendonly: no", "consents.appendonly: unknown key"),
        ("sqlite, path: consents.db", "upstream, path: x", "consents.path: unknown key"),
        ("sqlite, path: consents.db", "upstream, by_identifier: [identifier]", "`identifier` is not one of patient"),
        ("sqlite, path: consents.db}", "memory}\nworkers: 2", "the memory driver serves one worker only"),
        ("port: 9000", "host: 10.0.0.1, port: 8443", "the control plane has its own listener"),
        ("unknown_source_is_sensitive: true", "unknown_source_is_sensitive: yes", "must be true or false"),
    ],
)
def test_a_mistake_is_refused_by_line_and_key(old, new, said):
    """Every mistake stops the start and is told where it stands; none is passed over."""
    assert old in WHOLE
    with pytest.raises(ProfileError) as caught:
        parse_settings(WHOLE.replace(old, new, 1), "g.yaml")
    assert said in caught.value.message


def test_consents_may_live_in_redis_or_in_the_fhir_server():
    """Each driver has its own keys; an address with a password is a secret."""
    told = "sqlite, path: consents.db"
    redis = parse_settings(WHOLE.replace(told, "redis, url: 'redis://gw@h:6379/1', replicas: 1"), "g.yaml").consents
    assert Consents("redis", url="redis://gw@h:6379/1", replicas=1) == redis
    hidden = parse_settings(WHOLE.replace(told, "redis, url: {env: URL}, durability_stated: true"), "g.yaml").consents
    assert Consents("redis", url=Secret(env="URL"), durability_stated=True) == hidden
    asked = parse_settings(WHOLE.replace(told, "upstream, by_identifier: ['patient:identifier']"), "g.yaml").consents
    assert Consents("upstream", by_identifier=("patient:identifier",)) == asked
    assert Consents("upstream") == parse_settings(WHOLE.replace(told, "upstream"), "g.yaml").consents


@pytest.mark.parametrize(("said", "writes"), [("[]", set()), ("[update, patch]", {"update", "patch"})])
def test_what_may_be_written_is_listed(said, writes):
    """An empty list closes a route to writes; what is listed is open, and nothing else."""
    (route,) = parse_settings(WHOLE.replace("switches:", f"writes: {said}\n        switches:"), "g.yaml").routes
    assert writes == route.writes


def test_what_nobody_writes_cannot_be_listed():
    """Deletes are offered by no route."""
    with pytest.raises(ProfileError, match="delete"):
        parse_settings(WHOLE.replace("switches:", "writes: [delete]\n        switches:"), "g.yaml")


def test_no_issuer_or_no_route_is_refused():
    """A gateway nobody can call, or with nothing behind it, does not start."""
    base = "directory: d\nconsents: {driver: memory}\nledger: l\n"
    with pytest.raises(ProfileError, match="no issuer"):
        parse_settings(base, "g.yaml")


def test_the_development_issuer_is_marked():
    """Tokens of the development issuer are accepted only where the file says so in its own key."""
    text = WHOLE.replace("iss: https://id.example.org", "iss: urn:consent-gateway:development-issuer")
    assert parse_settings("development: true\n" + text, "g.yaml").development is True


def test_a_secret_comes_from_environment_or_file(monkeypatch):
    """A secret is read from where the settings point, and an empty one is refused without telling more."""
    monkeypatch.setenv("HOSPITAL_PASSWORD", "made-up")
    assert "made-up" == secret(Secret(env="HOSPITAL_PASSWORD"), read=lambda path: "")
    assert "first" == secret(Secret(file="f"), read=lambda path: "first\nsecond\n")
    with pytest.raises(ProfileError, match="file f is empty"):
        secret(Secret(file="f"), read=lambda path: "\n")
    monkeypatch.delenv("HOSPITAL_PASSWORD")
    with pytest.raises(ProfileError, match="variable HOSPITAL_PASSWORD is empty"):
        secret(Secret(env="HOSPITAL_PASSWORD"), read=lambda path: "x")
