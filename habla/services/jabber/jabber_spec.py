"""The settings of Jabber: ``habla:services.jabber`` of a stack."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from habla.model.names import DnsName, PasswordName, SecretName, ServiceName
from habla.model.spec import ArchiveSpec, Many, PortNumber, Spec
from habla.model.text_types import (
    DebianPackage,
    Jid,
    Line,
    LogSize,
    OptionName,
    RequestPath,
    RoutePath,
    matching,
)

__all__ = [
    "ApiClientSpec",
    "ArchiveBoundSpec",
    "ComponentSpec",
    "DomainSpec",
    "JabberLimitsSpec",
    "JabberSpec",
    "ProgramSpec",
    "RoomsSpec",
    "UploadSpec",
]

# Erlang's names have 255 characters, and ejabberd gives a process that of the URL of uploads, with the domain
# in it twice: http://www.DOMAIN/upload/DOMAIN.
Domain = Annotated[
    DnsName, matching(r".*", "up to 110 characters, because longer names are made from it", most=110)
]
Days = Annotated[int, Field(ge=1, le=3650)]


class ProgramSpec(Spec):
    """A program of the user's own that ejabberd starts and asks for each login (``auth: external``).

    It speaks ejabberd's protocol of external authentication on stdin and stdout. command: the program and its
    arguments; ``{app}`` is the directory of the unpacked archive.
    """

    command: Annotated[Many[Line], Field(min_length=1)]
    archive: ArchiveSpec | None = None
    packages: Many[DebianPackage] = ()


class DomainSpec(Spec):
    """One domain of the server, and how its users log in.

    auth: ``internal`` (accounts in ejabberd), ``anonymous`` (visitors without an account), ``sql`` (accounts
        in the fleet's MySQL), ``jwt`` (tokens signed with ``key``), ``external`` (asks ``program``), or
        ``http`` (asks ``app``).
    key: the secret with the JSON Web Key that verifies tokens.
    program: for ``external``. app, path: for ``http``, the app of the fleet that answers, and where.
    certificate: the secret with private key and chain as PEM, for this domain alone.
    s2s, roster, rooms: whether its users talk to other servers, keep contacts, and have a room service of
        their own. By default they do, except visitors.
    """

    auth: Literal["internal", "anonymous", "sql", "jwt", "external", "http"] = "internal"
    key: SecretName | None = None
    program: ProgramSpec | None = None
    app: ServiceName | None = None
    path: RequestPath = "/jabber-auth"
    certificate: SecretName | None = None
    s2s: bool | None = None
    roster: bool | None = None
    rooms: bool | None = None

    @model_validator(mode="after")
    def _what_auth_needs(self) -> DomainSpec:
        needed = {"jwt": "key", "external": "program", "http": "app"}
        for auth, option in needed.items():
            given = getattr(self, option) is not None
            if auth == self.auth and not given:
                raise ValueError(f"auth: {auth} needs {option}")
            if auth != self.auth and given:
                raise ValueError(f"{option} goes with auth: {auth}")
        if self.auth == "anonymous" and self.s2s:
            raise ValueError(
                "anonymous users cannot talk to other servers: remove s2s, or choose another auth"
            )
        return self

    @property
    def visitors(self) -> bool:
        """Whether anybody may log in."""
        return self.auth == "anonymous"

    def allows(self, option: str) -> bool:
        """Whether ``s2s``, ``roster`` or ``rooms`` is on."""
        given: bool | None = getattr(self, option)
        return not self.visitors if given is None else given


class RoomsSpec(Spec):
    """Rooms. unused_days: a room that nobody used for so long is destroyed. most_users: in one room.

    per_user: rooms that one user may be in at once. history: messages that somebody who enters is shown.
    """

    unused_days: Days = 90
    most_users: Annotated[int, Field(ge=2, le=10_000)] = 200
    per_user: Annotated[int, Field(ge=1, le=10_000)] = 100
    history: Annotated[int, Field(ge=0, le=1000)] = 50


class ArchiveBoundSpec(Spec):
    """The archive of messages: of users and of rooms.

    days: older messages are deleted. size: when the archive's file is larger, the oldest are deleted, day by
    day. ejabberd's own database holds 2 GB of it at most; MySQL has no such limit, and only ``days`` counts.
    """

    days: Days = 30
    size: LogSize = "1G"


class UploadSpec(Spec):
    """Files that users send (XEP-0363). Each host of Jabber has every file.

    largest: the size of one file. size: of all of them; a file beyond that is refused. days: older files are
    deleted. path: where the www instance serves them. port: of the program that keeps them.
    """

    largest: LogSize = "10M"
    size: LogSize = "1G"
    days: Days = 30
    path: RoutePath = "/upload"
    port: PortNumber = 5444


class JabberLimitsSpec(Spec):
    """The most that one client may do.

    stanza: the largest stanza in bytes. rate: bytes a second, on average. burst: bytes at once.
    offline_messages: kept for a user who is away. registrations: seconds between two from one address.
    """

    stanza: Annotated[int, Field(ge=10_000, le=10_000_000)] = 262_144
    rate: Annotated[int, Field(ge=100, le=1_000_000_000)] = 3000
    burst: Annotated[int, Field(ge=1000, le=1_000_000_000)] = 20_000
    offline_messages: Annotated[int, Field(ge=0, le=100_000)] = 1000
    registrations: Annotated[int, Field(ge=1, le=86_400)] = 600


class ApiClientSpec(Spec):
    """An app that may use the API. commands: those that it may call, by ejabberd's names.

    The app names ``${jabber.api}``, ``${jabber.api_user}`` and ``${jabber.api_token}`` in its environment.
    """

    commands: Annotated[Many[OptionName], Field(min_length=1)]


class ComponentSpec(Spec):
    """An external component (XEP-0114). app: the app that connects, and the only one that can.

    The app names ``${jabber.component}`` and ``${jabber.component_secret}`` in its environment.
    """

    app: ServiceName


class JabberSpec(Spec):
    """ejabberd, one cluster over all the hosts that run it.

    domains: name -> domain. Without any it is ``habla:domain``, with ``auth: internal``.
    certificate: the secret that holds private key and certificate chain as PEM; when it is not given each
        host signs one for itself, which clients cannot verify.
    cookie: the secret that holds the Erlang cookie, which lets a node into the cluster. The secrets that
        habla makes for apps and components follow from it.
    net_ticktime: seconds until a lost node is given up; logins on the others wait for as long.
    s2s_port: for other XMPP servers; null turns that off.
    direct_tls_port: XMPP over TLS from the first byte (XEP-0368), 5223 as a rule; null turns that off.
    https_port: BOSH and websocket with TLS, for a website with TLS; null turns that off.
    ciphers: OpenSSL's list of ciphers for TLS 1.2; null takes OpenSSL's own.
    proxy_protocol: HAProxy hands on the client's address. HAProxy 1.3 cannot: then it must be false.
    storage: where modules keep their data: ``mnesia`` (ejabberd's own database) or ``mysql`` (the fleet's).
    expected_sessions: users online at once; limits of files, ports and HAProxy follow from it.
    modules: NAME -> options, added to those that habla gives it; null removes a module.
    extra: raw YAML of ejabberd.yml, merged in last. ``${secret:NAME}`` in a text of modules or extra is the
        value of a secret. packages: Debian packages with modules of others.
    upload, api, components: null and {} turn them off.
    """

    domains: dict[Domain, DomainSpec] = Field(default_factory=dict)
    c2s_port: PortNumber = 5222
    direct_tls_port: PortNumber | None = 5223
    s2s_port: PortNumber | None = 5269
    http_port: PortNumber = 5280
    https_port: PortNumber | None = None
    api_port: PortNumber = 5281
    component_port: PortNumber = 5347
    admin_port: PortNumber | None = 5285
    cluster_port: PortNumber = 5210
    certificate: SecretName | None = None
    cookie: PasswordName = "jabber/cookie"
    ciphers: Annotated[Line, Field(min_length=1, max_length=1000)] | None = None
    net_ticktime: Annotated[int, Field(ge=4, le=120)] = 8
    proxy_protocol: bool = True
    log_level: Literal["error", "warning", "notice", "info", "debug"] = "notice"
    admins: tuple[Jid, ...] = ()
    max_sessions_per_user: Annotated[int, Field(ge=1, le=10_000)] = 10
    # HAProxy has 28,000 local ports for connections to one node, and one node must be able to carry all of
    # them.
    expected_sessions: Annotated[int, Field(ge=100, le=25_000)] = 5000
    storage: Literal["mnesia", "mysql"] = "mnesia"
    rooms: RoomsSpec = RoomsSpec()
    archive: ArchiveBoundSpec = ArchiveBoundSpec()
    upload: UploadSpec | None = UploadSpec()
    limits: JabberLimitsSpec = JabberLimitsSpec()
    api: dict[ServiceName, ApiClientSpec] = Field(default_factory=dict)
    components: dict[DnsName, ComponentSpec] = Field(default_factory=dict)
    modules: dict[OptionName, dict[str, Any] | None] = Field(default_factory=dict)
    extra: dict[str, Any] = Field(default_factory=dict)
    packages: Many[DebianPackage] = ()
