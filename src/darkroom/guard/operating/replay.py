"""What a policy would have done to traffic of the past, as far as an audit log can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from darkroom.guard.budgets.rules import Rules, rules_of
from darkroom.guard.budgets.scopes import Asker, Scopes
from darkroom.guard.detector.detector import Batch, Detector
from darkroom.guard.operating.changes import moment_text
from darkroom.guard.operating.log_lines import Log, LoggedRequest
from darkroom.guard.operating.tally import Tally
from darkroom.guard.policy import Policy

SPENT = ("Quota exceeded", "Too many rows")
"""Reasons of refusals by budgets."""

HARMLESS = "passed"


@dataclass
class Replayed:
    """One client's traffic under a policy.

    Attributes:
        client: Who.
        requests: That asked for rows.
        rows: That they asked for.
        tokens: That they took, or could have taken.
        refused: Requests that a budget would refuse, by its name.
        rows_refused: Rows of these.
        refused_then: Requests that a budget refused when they came.
        first: When the first would be refused, in seconds since 1970.
        alarms_then: Alarms of the detector of then that began.
        alarmed_then: Answers that were given during one of these.
        alarms: Alarms of the policy's detector that would have begun.
        alarmed: Answers that would have been given during one of these.
    """

    client: str
    requests: int = 0
    rows: int = 0
    tokens: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    rows_refused: int = 0
    refused_then: int = 0
    first: float | None = None
    alarms_then: int = 0
    alarmed_then: int = 0
    alarms: int = 0
    alarmed: int = 0

    def refuse(self, budget: str, one: LoggedRequest, rows: int) -> None:
        """Notes a request whose rows a budget does not let through."""
        self.refused[budget] += 1
        self.rows_refused += rows
        self.first = one.time if self.first is None else self.first

    @property
    def first_text(self) -> str:
        """When the first would be refused, for people; empty where none is."""
        return "" if self.first is None else moment_text(int(self.first * 1000))[:19]

    def record(self) -> dict[str, object]:
        """Returns it as JSON has it."""
        return {**asdict(self), "refused": dict(self.refused)}


class Replay(NamedTuple):
    """All of it.

    Attributes:
        model: The policy's name.
        begun: When the first request came, in seconds since 1970; ``None`` where there is none.
        ended: When the last came.
        clients: Those whose requests would be refused most, first.
        strangers: Requests of clients whom the policy does not know, by name.
        elsewhere: Requests to paths of no model of the policy, where it has several.
        limits: What the log cannot tell, in sentences.
    """

    model: str
    begun: float | None
    ended: float | None
    clients: Sequence[Replayed]
    strangers: Counter[str]
    elsewhere: int
    limits: Sequence[str]

    def record(self) -> dict[str, object]:
        """Returns it as JSON has it."""
        return {
            **self._asdict(),
            "clients": [one.record() for one in self.clients],
            "strangers": dict(self.strangers),
        }


def replay(policy: Policy, log: Log, detector: Detector | None = None) -> Replay:
    """Decides about each request of a log as a policy would have.

    Args:
        policy: In the place of the one that was in force.
        log: Of the same model.
        detector: The policy's; remembers what it sees.
    """
    deciding = _Deciding(policy, detector)
    for one in log.requests:
        deciding.take(one)
    times = [one.time for one in log.requests]
    clients = sorted(
        deciding.clients.values(), key=lambda one: (-one.refused.total(), -one.rows, one.client)
    )
    return Replay(
        policy.guard.model,
        min(times, default=None),
        max(times, default=None),
        clients,
        deciding.strangers,
        deciding.elsewhere,
        _limits(policy, log, deciding),
    )


class _Deciding:
    """Decides about one request after another.

    Attributes:
        rules: The policy's budgets.
        clients: What became of whose requests.
        strangers: Requests of clients whom the policy does not know.
        elsewhere: Requests of no model.
        uncounted: Requests that do not say how many rows they asked for.
        unnamed: Requests that do not say which model they meant.
        unscored: Requests that were answered, and do not say with which classes.
    """

    def __init__(self, policy: Policy, detector: Detector | None) -> None:
        self.rules: Rules = rules_of(policy)
        self.clients: dict[str, Replayed] = {}
        self.strangers: Counter[str] = Counter()
        self.elsewhere = self.uncounted = self.unnamed = self.unscored = 0
        self._scopes, self._tally, self._detector = Scopes(policy), Tally(), detector
        self._named = {one.name for one in policy.model if one.names}

    def take(self, one: LoggedRequest) -> None:
        """Decides about one that asks for rows; others cost nothing."""
        if one.client is None or one.path is None or one.outcome == HARMLESS:
            return
        spent = one.reason in SPENT
        if one.outcome == "refused" and not spent and not one.asked:
            return  # it was no request that could be understood
        if one.client not in self.rules.groups:
            self.strangers[one.client] += 1
            return
        asker = self._scopes.asker(one.client, one.path)
        if asker is None:
            self.elsewhere += 1
            return
        if one.served in self._named:
            asker = asker._replace(model=one.served)
        elif asker.model in self._named:
            self.unnamed += 1
        self._decide(one, asker, spent)

    def _decide(self, one: LoggedRequest, asker: Asker, spent: bool) -> None:
        rows, tokens = max(1, one.asked or one.rows), one.tokens or one.tokens_most
        self.uncounted += not (one.asked or one.rows)
        made = self.clients.setdefault(asker.client, Replayed(asker.client))
        made.requests += 1
        made.rows += rows
        made.tokens += tokens
        made.refused_then += spent
        made.alarms_then += one.alarms_begun
        made.alarmed_then += bool(one.alarms) and one.rows > 0
        moment = int(one.time * 1000)
        charge = self.rules.charge(asker, rows, (), moment, tokens)
        receipt = self._tally.charge(charge, moment)
        if receipt.granted:
            self._answer(one, asker, made)
            return
        made.refuse(self.rules.account(asker).budgets[receipt.refused[0]].budget.name, one, rows)

    def _answer(self, one: LoggedRequest, asker: Asker, made: Replayed) -> None:
        """Lets the detector see an answer, and counts its classes."""
        scores = one.scores
        if scores is None:
            self.unscored += 1
            return
        if self._detector is not None:
            verdict = self._detector.watch(Batch(one.client, None, scores))
            made.alarms += verdict.begun
            made.alarmed += verdict.alarmed
        if self.rules.classes:
            classes, moment = Counter(one.winners), int(one.time * 1000)
            charge = self.rules.charge_classes(asker, classes, moment)
            receipt = self._tally.charge(charge, moment)
            if not receipt.granted:
                counted = self.rules.counted_classes(asker, classes)[receipt.refused[0]][0]
                made.refuse(counted.budget.name, one, len(one.winners))


def _limits(policy: Policy, log: Log, deciding: _Deciding) -> list[str]:
    """Says what the log cannot tell about this policy."""
    said = [
        "Whoever is refused may ask again, or give up: the log has what was asked of the policy of "
        "then.",
        "What was spent before the log begins is not in it: the first window may refuse too "
        "little.",
    ]
    said += _of_budgets(policy, deciding)
    if log.changes:
        said.append(
            f"Operators opened budgets {sum(o.outcome == 'made' for o in log.changes)} time(s): "
            "here nothing is opened."
        )
    said += _of_answers(policy, log, deciding.unscored)
    if log.unread:
        said.append(f"{log.unread} line(s) could not be read.")
    if log.models:
        others = ", ".join(f"{name} ({count})" for name, count in log.models.most_common())
        said.append(f"Lines of other models were left out: {others}.")
    return said


def _of_budgets(policy: Policy, deciding: _Deciding) -> list[str]:
    said = []
    if deciding.uncounted:
        said.append(
            f"{deciding.uncounted} request(s) that were refused do not say how many rows they "
            "asked for, as in logs of older versions: each counts as one."
        )
    if any(one.per == "class" for one in policy.budget) and deciding.unscored:
        said.append(
            f"{deciding.unscored} answer(s) do not say which classes they had, as [log] scores = "
            "true has them: budgets of classes do not count these."
        )
    if any(one.per == "person" for one in policy.budget):
        said.append(
            "Logs do not say whom requests are about: budgets of people count nothing here."
        )
    if any(one.unit == "tokens" for one in policy.budget):
        said.append(
            "Tokens are those that answers told, and the most they could be where none were told; "
            "requests that were logged without tokens count none. More are held back while an "
            "answer is on its way, so a few more may be refused."
        )
    if deciding.unnamed:
        said.append(
            f"{deciding.unnamed} request(s) do not say which model their body named: each counts "
            "for the first with its path."
        )
    return said


def _of_answers(policy: Policy, log: Log, unscored: int) -> list[str]:
    said = [
        "The log has neither inputs nor answers. So it cannot tell what output defences would have "
        "changed: that is for darkroom audit, with [guarded].",
    ]
    then = sum(one.alarms_begun for one in log.requests)
    if then and policy.detector is None:
        said.append(f"{then} alarm(s) of the detector of then are in it; this policy has none.")
    if policy.detector is None:
        return said
    said.append(
        "The detector was shown classes and confidences alone. What it would have seen in inputs, "
        "such as steps and distances, is in no log: with them it alarms more."
    )
    if unscored:
        said.append(
            f"{unscored} answer(s) do not say with which classes and confidences, as [log] scores "
            "= true has them: the detector did not see these. To try it on what comes, run it with "
            "[guard] shadow = true, or without [[detector.tighten]], and read its alarms."
        )
    return said
