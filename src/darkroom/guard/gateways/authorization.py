"""The ledger as an authorisation service: a gateway asks, rows are charged, answers pass by.

Envoy's ``ext_authz`` filter, and others that forward a request with its body, ask before the model
is asked. A request that is understood, known and within its budgets is answered 200, and its rows
are charged; all others get the status and the body that the guard would have given. Answers of the
model never come here: so nothing that changes or counts answers can be held, and a policy that asks
for it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from darkroom.errors import PlanError
from darkroom.guard.admission import ActivePolicy
from darkroom.guard.handler import Handler
from darkroom.guard.http.requests import Receive, Scope, Send
from darkroom.guard.http.responses import Fields, answer
from darkroom.guard.middleware import Guard, Observer
from darkroom.guard.policy import Policy
from darkroom.guard.stores.base import Store
from darkroom.guard.wire.openai.completions import MOST_LOGPROBS, OpenAI
from darkroom.guard.wire.registry import WIRES
from darkroom.sections import PartSection


class AuthorizationHandler(Handler):
    """One question, from the head of a request to yes or no."""

    async def serve(self, scope: Scope) -> None:
        """Charges what may pass and says so; see :meth:`Handler.serve`."""
        request, known = self._arrived(scope)
        if known.client is None:  # harmless
            request.length(known.head)  # refuses one that is ambiguous
            self.record.outcome = "passed"
            await self._allow([])
            return
        _, asked, asker = await self._read(request, known)
        fields = await self._charge(asker, asked, None)
        self.record.rows, self.record.outcome = asked.rows, "released"
        await self._allow(fields)

    async def _allow(self, fields: Fields) -> None:
        self.record.status = 200
        self.begun = True
        bare = self.method == "HEAD"
        head = fields + self.identity
        await answer(self.send, 200, b"application/json", b"{}", head, bare=bare)
        self.end()


class Authorization(Guard):
    """Says to a gateway which requests may pass, and charges these."""

    handler = AuthorizationHandler

    def __init__(
        self,
        policy: str | Path | Policy,
        *,
        store: Store | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        """Reads the policy; see :class:`darkroom.guard.middleware.Guard`.

        Raises:
            PlanError: If it cannot be used, or holds what only a guard before the answer can do.
        """
        super().__init__(_allowing, policy, store=store, observers=observers)

    def _activated(self, policy: Policy) -> ActivePolicy:
        beyond = {
            "[[defense]]": bool(policy.defense),
            "[outputs]": policy.outputs.top_k is not None or policy.outputs.labels_only,
            "[detector]": policy.detector is not None,
            "budgets per class": any(one.per == "class" for one in policy.budget),
            "budgets in tokens": any(one.tokens is not None for one in policy.budget),
        }
        beyond |= {f"[[wire]] {key}": True for one in policy.wire for key in _acting(one)}
        wanted = [name for name, there in beyond.items() if there]
        if wanted:
            raise PlanError(
                f"{', '.join(wanted)}: a gateway that asks for authorisation shows no answers: "
                "leave it out, or let darkroom guard serve as the proxy"
            )
        return super()._activated(policy)


def _acting(section: PartSection) -> list[str]:
    """Returns the keys of a format that act on answers, or have the request itself changed."""
    wire = WIRES.find(section)
    kind = type(wire)
    found = [
        key
        for key in ("defenses", "top_k", "output", "context")
        if key in section.parameters or getattr(wire, key, None) != getattr(kind, key, None)
    ]
    # Log-probabilities are cut whether or not the policy says to how many.
    if isinstance(wire, OpenAI) and wire.logprobs and wire.top_logprobs < MOST_LOGPROBS:
        found.append(f"top_logprobs below {MOST_LOGPROBS}")
    return found


async def _allowing(scope: Scope, receive: Receive, send: Send) -> None:
    """Lets everything pass: what shadow mode asks once all is decided."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await answer(send, 200, b"application/json", b"{}", [])
