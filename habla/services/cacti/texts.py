"""The texts of Cacti's config files and units."""

from __future__ import annotations

from habla.model.programs import END_OF_ONESHOT
from habla.model.site import Site
from habla.onhost.document import secret

__all__ = [
    "SNMP_CLASS",
    "apache_ports",
    "apache_site",
    "database_config",
    "database_grants",
    "php_config",
    "timer",
    "worker",
]

_SITE = "/usr/share/cacti/site"
# Debian 12's PHP complains of this class at each poll of each host, in two lines of cacti.log: it lacks a
# property. Shown to the pollers in the place of the package's own, which stays as it is.
_PACKAGED_SNMP_CLASS = f"{_SITE}/include/vendor/phpsnmp/extension.php"
SNMP_CLASS = """\
<?php
namespace phpsnmp;

class SNMP extends \\SNMP {
    public $bulk_walk_size;
    public $value_output_format;
}
"""


def database_config(logs: str) -> str:
    """MariaDB, for this host alone."""
    return f"""\
[mariadbd]
bind-address = 127.0.0.1
skip-name-resolve
character-set-server = utf8mb4
collation-server = utf8mb4_unicode_ci
log_error = {logs}/error.log
"""


def database_grants(password: str) -> str:
    """Cacti's database and user, as SQL that may run any number of times."""
    user = "'cacti'@'localhost'"
    lines = [
        "CREATE DATABASE IF NOT EXISTS `cacti` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;",
        f"CREATE USER IF NOT EXISTS {user};",
        f"ALTER USER {user} IDENTIFIED BY '{secret(password, 'sql')}';",
        f"GRANT ALL PRIVILEGES ON `cacti`.* TO {user};",
        f"GRANT SELECT ON mysql.time_zone_name TO {user};",
    ]
    return "\n".join(lines) + "\n"


def php_config(password: str) -> str:
    """Cacti's own config. A string of PHP in single quotes is escaped as one of SQL is."""
    return f"""\
<?php
$database_type = 'mysql';
$database_default = 'cacti';
$database_hostname = 'localhost';
$database_username = 'cacti';
$database_password = '{secret(password, "sql")}';
$database_port = '3306';
$database_retries = 5;
$database_ssl = false;
$database_persist = false;
$poller_id = 1;
$url_path = '/cacti/';
$cacti_session_name = 'Cacti';
$cacti_db_session = false;
// logrotate does it.
$disable_log_rotation = true;
$path_csrf_secret = '/var/lib/cacti/csrf/secret.php';
$proxy_headers = null;
"""


def apache_ports(site: Site, port: int) -> str:
    """Where Apache listens, and nowhere else. Without a name it would look for one, and complain."""
    return f"ServerName {site.host}\nListen {site.address}:{port}\n"


def apache_site(site: Site, port: int, *, alive_path: str, alive: str) -> str:
    """Cacti's pages, and the word of the last poll. The package itself maps /cacti to its directory."""
    directory, _, file = alive.rpartition("/")
    return f"""\
<VirtualHost {site.address}:{port}>
    ServerName {site.host}
    DocumentRoot {_SITE}
    RedirectMatch ^/$ /cacti/
    ErrorLog ${{APACHE_LOG_DIR}}/error.log
    CustomLog ${{APACHE_LOG_DIR}}/access.log combined

    # Links from there lead to its logs, its data and its programs.
    <LocationMatch "^(/cacti)?/(cli|log|mibs|resource|rra|scripts)(/|$)">
        Require all denied
    </LocationMatch>

    Alias {alive_path} {alive}
    <Directory {directory}>
        ForceType text/plain
        <Files {file}>
            Require all granted
        </Files>
    </Directory>
</VirtualHost>
"""


def worker(name: str, command: tuple[str, ...], *, user: str, ready: str, snmp_class: str) -> str:
    """A unit that a timer starts. ready: without this file there is nothing to work with yet."""
    return f"""\
[Unit]
Description=habla: {name}
After=mariadb.service
ConditionPathExists={ready}

[Service]
Type=oneshot
User={user}
ExecStart=/usr/bin/{" ".join(command)}
BindReadOnlyPaths={snmp_class}:{_PACKAGED_SNMP_CLASS}
TimeoutStartSec=600
{END_OF_ONESHOT}Nice=5
"""


def timer(name: str, when: str) -> str:
    """When it is started; to the second, as Cacti refuses to poll again too soon."""
    return f"""\
[Unit]
Description=habla: {name}, at {when}

[Timer]
OnCalendar={when}
AccuracySec=1s

[Install]
WantedBy=timers.target
"""
