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
    OptionName,
    RequestPath,
    RoutePath,
    Size,
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
    """A program of your own that ejabberd asks at each login, by its protocol of external authentication."""

    command: Annotated[Many[Line], Field(min_length=1)]
    """The program and its arguments. ``{app}`` is the directory of the unpacked archive."""
    archive: ArchiveSpec | None = None
    """The files of the program."""
    packages: Many[DebianPackage] = ()
    """The Debian packages that the program needs."""


class DomainSpec(Spec):
    """One domain of the server, and how its users log in."""

    auth: Literal["internal", "anonymous", "sql", "jwt", "external", "http"] = "internal"
    """How users log in. ``internal``: accounts in ejabberd. ``anonymous``: visitors without an account.
    ``sql``: accounts in the fleet's MySQL. ``jwt``: tokens that ``key`` verifies. ``external``: ejabberd asks
    ``program``. ``http``: ejabberd asks ``app``."""
    key: SecretName | None = None
    """For ``auth: jwt``, the secret that holds the JSON Web Key."""
    program: ProgramSpec | None = None
    """For ``auth: external``, the program that ejabberd asks."""
    app: ServiceName | None = None
    """For ``auth: http``, the app of the fleet that ejabberd asks."""
    path: RequestPath = "/jabber-auth"
    """For ``auth: http``, the path of the request to the app."""
    certificate: SecretName | None = None
    """The secret that holds the private key and the certificate chain of this domain as PEM. Without it, the
    domain has the certificate of the server."""
    s2s: bool | None = None
    """Whether users may write to users of other servers. Without it, all may except visitors. Visitors
    never can."""
    roster: bool | None = None
    """Whether users have a contact list. Without it, all have one except visitors."""
    rooms: bool | None = None
    """Whether the domain has a room service, ``conference.NAME``. Without it, each has one except that of
    visitors."""

    @model_validator(mode="after")
    def _what_auth_needs(self) -> DomainSpec:
        needed = {"jwt": "key", "external": "program", "http": "app"}
        for auth, option in needed.items():
            given = getattr(self, option) is not None
            if auth == self.auth and not given:
                raise ValueError(f"auth: {auth} needs {option}")
            if auth != self.auth and given:
                raise ValueError(f"{option} requires auth: {auth}")
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
    """The bounds of rooms."""

    unused_days: Days = 90
    """ejabberd destroys a room that nobody has used for this time."""
    most_users: Annotated[int, Field(ge=2, le=10_000)] = 200
    """How many users may be in one room."""
    per_user: Annotated[int, Field(ge=1, le=10_000)] = 100
    """How many rooms one user may be in at a time."""
    history: Annotated[int, Field(ge=0, le=1000)] = 50
    """How many messages of the past a user sees on entering a room."""


class ArchiveBoundSpec(Spec):
    """The bounds of the message archive, which has the messages of users and of rooms."""

    days: Days = 30
    """habla deletes messages that are older."""
    size: Size = "1G"
    """habla deletes the oldest days when the file of the archive is larger than this. It must be below 2G.
    With ``storage: mysql`` only ``days`` counts."""


class UploadSpec(Spec):
    """Files that users send each other (XEP-0363). Every Jabber host has every file."""

    largest: Size = "10M"
    """The size of the largest file."""
    size: Size = "1G"
    """The size of all files together. habla refuses a file that would exceed it."""
    days: Days = 30
    """habla deletes files that are older."""
    path: RoutePath = "/upload"
    """The path of the files on the website."""
    port: PortNumber = 5444
    """The port of the program that keeps the files, on the internal address."""


class JabberLimitsSpec(Spec):
    """The most that one client may do."""

    stanza: Annotated[int, Field(ge=10_000, le=10_000_000)] = 262_144
    """The size of the largest stanza, in bytes."""
    rate: Annotated[int, Field(ge=100, le=1_000_000_000)] = 3000
    """How many bytes a second a client may send on average."""
    burst: Annotated[int, Field(ge=1000, le=1_000_000_000)] = 20_000
    """How many bytes a client may send at once."""
    offline_messages: Annotated[int, Field(ge=0, le=100_000)] = 1000
    """How many messages ejabberd keeps for a user who is away."""
    registrations: Annotated[int, Field(ge=1, le=86_400)] = 600
    """How many seconds must pass between two registrations from one address."""


class ApiClientSpec(Spec):
    """An app that may call ejabberd's API."""

    commands: Annotated[Many[OptionName], Field(min_length=1)]
    """The commands that the app may call, by ejabberd's names."""


class ComponentSpec(Spec):
    """An external component of Jabber (XEP-0114), such as a gateway."""

    app: ServiceName
    """The app that connects as this component. No other app can."""


class JabberSpec(Spec):
    """ejabberd: one cluster over all hosts that run it. [jabber.md](jabber.md) explains it."""

    domains: dict[Domain, DomainSpec] = Field(default_factory=dict)
    """The domains of the server. Without them, the server has ``habla:domain`` with ``auth: internal``."""
    c2s_port: PortNumber = 5222
    """The port for XMPP clients."""
    direct_tls_port: PortNumber | None = 5223
    """The port for XMPP clients that use TLS from the first byte (XEP-0368). null turns it off."""
    s2s_port: PortNumber | None = 5269
    """The port for other XMPP servers. null turns it off."""
    http_port: PortNumber = 5280
    """The port for BOSH and websocket."""
    https_port: PortNumber | None = None
    """The port for BOSH and websocket over TLS, which a website with TLS needs. 5443 is usual."""
    api_port: PortNumber = 5281
    """The port of the API, on the internal address."""
    component_port: PortNumber = 5347
    """The port for external components, on the internal address."""
    admin_port: PortNumber | None = 5285
    """The port of the admin page, on 127.0.0.1. null turns it off."""
    cluster_port: PortNumber = 5210
    """The port for the connections between the nodes of the cluster, on the internal address."""
    certificate: SecretName | None = None
    """The secret that holds the private key and the certificate chain as PEM. Without it, each host signs a
    certificate for itself, which clients cannot verify."""
    cookie: PasswordName = "jabber/cookie"
    """The secret that holds the Erlang cookie, which admits a node to the cluster. habla derives the tokens
    of apps and the secrets of components from it."""
    ciphers: Annotated[Line, Field(min_length=1, max_length=1000)] | None = None
    """The ciphers of TLS 1.2, in the form of OpenSSL. Without it, ejabberd uses OpenSSL's own list."""
    net_ticktime: Annotated[int, Field(ge=4, le=120)] = 8
    """How many seconds pass until the cluster gives up a lost node. Logins on other nodes wait as long."""
    proxy_protocol: bool = True
    """Whether HAProxy passes the client's address to ejabberd. HAProxy 1.3 cannot, and requires false."""
    log_level: Literal["error", "warning", "notice", "info", "debug"] = "notice"
    """How much ejabberd logs. ``info`` adds a line for each connection and each login."""
    admins: tuple[Jid, ...] = ()
    """The accounts that may use the admin page and administer rooms."""
    max_sessions_per_user: Annotated[int, Field(ge=1, le=10_000)] = 10
    """How many sessions one user may have at a time."""
    # HAProxy has 28,000 local ports for connections to one node, and one node must be able to carry all of
    # them.
    expected_sessions: Annotated[int, Field(ge=100, le=25_000)] = 5000
    """How many users are online at a time. Limits on open files, ports and HAProxy's connections follow from
    it."""
    storage: Literal["mnesia", "mysql"] = "mnesia"
    """Where ejabberd's modules keep their data: ``mnesia`` is ejabberd's own database, ``mysql`` is the
    fleet's."""
    rooms: RoomsSpec = RoomsSpec()
    """The bounds of rooms."""
    archive: ArchiveBoundSpec = ArchiveBoundSpec()
    """The bounds of the message archive."""
    upload: UploadSpec | None = UploadSpec()
    """Files that users send each other. null turns this off."""
    limits: JabberLimitsSpec = JabberLimitsSpec()
    """The most that one client may do."""
    api: dict[ServiceName, ApiClientSpec] = Field(default_factory=dict)
    """The apps that may call ejabberd's API, by name."""
    components: dict[DnsName, ComponentSpec] = Field(default_factory=dict)
    """The external components, by their domain."""
    modules: dict[OptionName, dict[str, Any] | None] = Field(default_factory=dict)
    """Options of ejabberd's modules, by the name of the module. They add to those that habla sets. null
    removes a module. ``${secret:NAME}`` in a text is the value of a secret."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Options of ``ejabberd.yml``, which habla merges in last. ``${secret:NAME}`` in a text is the value of a
    secret."""
    packages: Many[DebianPackage] = ()
    """Debian packages that contain further modules."""
