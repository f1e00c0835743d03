"""What a policy needs that is not there: variables, folders, servers, a ledger."""

from __future__ import annotations

import asyncio
from pathlib import Path

import yarl

from darkroom.errors import DarkroomError, one_line
from darkroom.guard.policy import Policy
from darkroom.guard.proxy import Proxy
from darkroom.guard.stores.base import NoLedgerError
from darkroom.guard.stores.registry import open_store

PATIENCE = 3.0
"""Seconds that the upstream has to take a connection, and to answer."""

START = b"HTTP/1."
"""How an answer begins."""


def missing_parts(policy: Policy) -> list[str]:
    """Says in a line each what is missing.

    An upstream is looked for where the policy has one: a guard in an application has none.

    Args:
        policy: As :func:`darkroom.guard.policy.read_policy` returns it.
    """
    said = [] if policy.log is None else _folder("log", policy.log.path)
    if policy.detector is not None:
        path = policy.detector.path
        said += _folder("detector", path)
        if path.parent.is_dir() and not path.is_file():
            said.append(f"detector: there is no file {path}")
    said += _ledger(policy)
    if policy.upstream.url is not None or any(one.url is not None for one in policy.model):
        said += _upstream(policy)
    return said


def _folder(name: str, path: Path) -> list[str]:
    there = path.parent.is_dir()
    return [] if there else [f"{name}: there is no folder {path.parent}: make it"]


def _ledger(policy: Policy) -> list[str]:
    try:
        store = open_store(policy)
        try:
            store.create = False  # a look begins nothing
            store.open()
        finally:
            store.close()
    except NoLedgerError as error:
        return [] if policy.store.create else [str(error)]
    except DarkroomError as error:
        return [str(error)]
    return []


def _upstream(policy: Policy) -> list[str]:
    try:
        proxy = Proxy(policy)
    except DarkroomError as error:
        return [str(error)]
    try:
        asyncio.run(asyncio.wait_for(proxy.reach(), PATIENCE))
    except (OSError, TimeoutError) as error:
        why = one_line(error) or f"{policy.upstream.url or 'one of them'}: no answer"
        return [f"upstream: nobody takes a connection at {why}"]
    for base in proxy.bases:
        url = yarl.URL(base)
        if url.scheme == "http" and not asyncio.run(_speaks_http(url)):
            return [
                f"upstream: what listens at {url} does not answer HTTP/1.1: a gRPC port cannot be "
                "guarded, give the server's REST port"
            ]
    return []


async def _speaks_http(url: yarl.URL) -> bool:
    """Asks for the root path, and tells whether the answer begins as HTTP/1 does.

    A server that says nothing in time is taken for one that may.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(url.host, url.port)
            head = f"GET / HTTP/1.1\r\nHost: {url.authority}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode())
            begun = await reader.readexactly(len(START))
            writer.close()
    except TimeoutError:
        return True
    except (OSError, asyncio.IncompleteReadError):
        return False
    return begun == START
