"""Which modules are changed, and which tests are there to notice."""

from __future__ import annotations

from benchmarks.mutation.trial import Subject


def _statistics(module: str, *tests: str) -> Subject:
    files = tuple(f"tests/statistics/test_{one}.py" for one in tests or (module,))
    return Subject(f"darkroom.statistics.{module}", files)


def _guard(module: str, *tests: str) -> Subject:
    return Subject(f"darkroom.guard.{module}", tuple(f"tests/guard/{one}.py" for one in tests))


STATISTICS = (
    _statistics("calibration"),
    _statistics("chance"),
    _statistics("crossed"),
    _statistics("intervals"),
    _statistics("means"),
    _statistics("multiplicity"),
    _statistics("one_run"),
    _statistics("paired"),
    _statistics("power"),
    _statistics("reconstruction_bound"),
    _statistics("stratified"),
)

GUARD = (
    _guard("budget_sections", "rules/test_budget_sections", "rules/test_protection"),
    _guard("budgets.leases", "rules/test_leases"),
    _guard("budgets.rules", "rules/test_rules"),
    _guard("budgets.scopes", "rules/test_scopes"),
    _guard("http.identifiers", "rules/test_identifiers"),
    _guard("protection", "rules/test_protection"),
    _guard("windows", "rules/test_windows"),
)

LEDGER = (Subject("darkroom.ledger", ("tests/test_ledger.py",)),)
