"""What one variable, ``FERRY_URL``, says about hosts, origins and cookies."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Addresses:
    """Host names the server answers to, origins whose forms it accepts, and whether all of it is https."""

    hosts: tuple[str, ...]
    origins: tuple[str, ...]
    secure: bool


def derive(url: str) -> Addresses:
    """Read ``FERRY_URL``: one address or several separated by commas; empty means this machine only.

    Raises ImproperlyConfigured when an address has no http(s) scheme, no host, or a path.
    """
    hosts, origins, schemes = list(LOCAL_HOSTS), [], set()
    for address in (part.strip().rstrip("/") for part in url.split(",") if part.strip()):
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query:
            raise ImproperlyConfigured(
                f"FERRY_URL has {address!r}. Write scheme and host, without a path: https://ferry.example.org"
            )
        hosts.append(f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname)
        origins.append(f"{parts.scheme}://{parts.netloc}")
        schemes.add(parts.scheme)
    return Addresses(tuple(dict.fromkeys(hosts)), tuple(origins), schemes == {"https"})
