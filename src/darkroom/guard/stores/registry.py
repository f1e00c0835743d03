"""The store that a policy names."""

from __future__ import annotations

import os

from darkroom.errors import PlanError
from darkroom.guard.policy import Policy
from darkroom.guard.stores.base import Store
from darkroom.guard.stores.sqlite import SqliteStore


def open_store(policy: Policy) -> Store:
    """Makes the store; it connects when it is first used.

    Raises:
        PlanError: If the address is not in the environment.
        MissingExtraError: If the library of the store is not installed.
    """
    model, section = policy.guard.model, policy.store
    if section.kind == "sqlite":
        return SqliteStore(model, section.path, patience=section.patience, create=section.create)
    assert section.url_env is not None
    url = os.environ.get(section.url_env)
    if not url:
        raise PlanError(f"store: the environment has no {section.url_env}: put the address there")
    if section.kind == "redis":
        from darkroom.guard.stores.redis import RedisStore

        return RedisStore(
            model,
            url,
            patience=section.patience,
            trust_durability=section.trust_durability,
            create=section.create,
        )
    from darkroom.guard.stores.postgres import PostgresStore

    return PostgresStore(model, url, patience=section.patience, create=section.create)
