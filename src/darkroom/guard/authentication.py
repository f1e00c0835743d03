"""Who asks: by API key, by certificate, or by a header that a trusted proxy has set."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from time import time as now

from darkroom.guard.api_keys import hashed
from darkroom.guard.policy import Policy

Headers = Iterable[tuple[bytes, bytes]]

KEY_HEADERS = (b"authorization", b"x-api-key", b"api-key")


class Clients:
    """Finds a policy's clients in requests; whoever is not among them is nobody.

    Attributes:
        timed: Those with a key that counts for a time alone.
    """

    def __init__(self, policy: Policy) -> None:
        """Takes the policy."""
        trust = policy.trust
        self._keys = {key.hash: (one.name, key) for one in policy.client for key in one.every_key}
        self.timed = frozenset(
            one.name
            for one in policy.client
            if any(key.since or key.until for key in one.every_key)
        )
        self._networks = [ipaddress.ip_network(one) for one in trust.proxies] if trust else []
        self._trusted: dict[bytes, dict[str, str]] = {}
        if trust is not None and trust.subject_header is not None:
            known = {one.subject: one.name for one in policy.client if one.subject is not None}
            self._trusted[trust.subject_header.encode()] = known
        if trust is not None and trust.user_header is not None:
            known = {one.user: one.name for one in policy.client if one.user is not None}
            self._trusted[trust.user_header.encode()] = known
        self._names = frozenset((*KEY_HEADERS, *self._trusted))

    def identify(self, headers: Headers, peer: str | None) -> str | None:
        """Returns the client's name, or ``None`` for one that is unknown or claims to be two.

        Args:
            headers: With names in lower case.
            peer: The address that the connection comes from.
        """
        trusted = self._trusted if self._trusted and self._trusts(peer) else {}
        found: set[str | None] = set()
        seen: set[bytes] = set()
        for name, value in headers:
            if name not in self._names or (name not in KEY_HEADERS and name not in trusted):
                continue
            if name in seen:
                return None
            seen.add(name)
            text = value.decode("utf-8", "surrogateescape").strip()
            if name in trusted:
                found.add(trusted[name].get(text))
            else:
                found.add(self._owner(hashed(_bare(name, text))))
        return found.pop() if len(found) == 1 else None

    def _owner(self, key: str) -> str | None:
        """Returns whose key it is now."""
        found = self._keys.get(key)
        return found[0] if found is not None and found[1].counts_at(now()) else None

    def _trusts(self, peer: str | None) -> bool:
        try:
            address = ipaddress.ip_address(peer or "")
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


def _bare(name: bytes, text: str) -> str:
    """Returns the key in a header's value; nothing where another scheme is used."""
    if name != b"authorization":
        return text
    scheme, _, key = text.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
