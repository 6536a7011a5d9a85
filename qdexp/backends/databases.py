"""Databases behind addresses: which driver opens them, and whether anybody answers."""

import socket
from importlib.util import find_spec
from urllib.parse import urlsplit

DRIVERS = {
    "postgresql": ("psycopg", "psycopg2"),
    "mysql": ("pymysql",),
    "mssql": ("pymssql",),
}
"""Modules of which one is needed, by the scheme of an address; the first one counts first."""

_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_PROBE_SECONDS = 5.0


def missing_driver(address: str) -> str:
    """Returns what is not installed and how it is, in words, or nothing if a driver is there."""
    wanted = _drivers(address)
    if not wanted or any(find_spec(driver) for driver in wanted):
        return ""
    how = "'qdexp[postgres]'" if wanted[0] == "psycopg" else wanted[0]
    return (
        f"expected an installed driver of this database ({' or '.join(wanted)}), "
        f"found none: `pip install {how}`"
    )


def with_driver(address: str) -> str:
    """Returns an address with a driver that is installed: SQLAlchemy would want a certain one."""
    scheme, found, rest = address.partition("://")
    driver = next((each for each in _drivers(address) if find_spec(each)), "")
    return address if "+" in scheme or not driver else f"{scheme}+{driver}{found}{rest}"


def knock(address: str) -> None:
    """Opens a connection to a database's port, where it has one.

    Raises:
        OSError: Nobody answers there.
    """
    parts = urlsplit(address)
    try:
        port = parts.port or _PORTS.get(parts.scheme.partition("+")[0])
    except ValueError:  # a password that should be quoted: whoever opens the database says so
        return
    if parts.hostname and port:
        socket.create_connection((parts.hostname, port), timeout=_PROBE_SECONDS).close()


def _drivers(address: str) -> tuple[str, ...]:
    """Returns the modules of which one is needed: the one that the address names, or several."""
    scheme, _, named = urlsplit(address).scheme.partition("+")
    return (named,) if named else DRIVERS.get(scheme, ())
