"""Files that people start from: compose, Kubernetes, gateways, alerts; what they name is there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.needs import benched, needed

from darkroom.guard.policy import read_policy
from darkroom.guard.telemetry.metrics import Metrics

yaml = needed("yaml")
EXAMPLES = Path(__file__).parents[2] / "examples/guard"


def loaded(name: str) -> Any:
    return yaml.safe_load((EXAMPLES / name).read_text())


def manifests() -> Iterator[dict[str, Any]]:
    for path in sorted((EXAMPLES / "kubernetes").glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text())


def the_only(kind: str, name: str) -> dict[str, Any]:
    (found,) = [
        one for one in manifests() if (one["kind"], one["metadata"]["name"]) == (kind, name)
    ]
    return found


def test_the_policy_is_good_and_durable() -> None:
    policy = read_policy(EXAMPLES / "guard.toml")
    assert policy.warnings() == []
    assert (policy.store.kind, policy.store.create) == ("redis", False)


def test_compose_refers_to_what_it_has() -> None:
    made = loaded("compose.yaml")
    services = made["services"]
    for service in services.values():
        assert set(service["networks"]) <= set(made["networks"])
        assert set(service.get("depends_on", {})) <= set(services)
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in made["volumes"] or (EXAMPLES / source).exists(), mount
    assert "ledger:/data" in services["redis"]["volumes"]
    assert made["networks"]["behind"]["internal"]
    # Only the guard can be reached from outside.
    assert [name for name, one in services.items() if "ports" in one] == ["guard"]
    assert all(one["networks"] == ["behind"] for name, one in services.items() if name != "guard")
    context = EXAMPLES / services["guard"]["build"]["context"]
    assert (context / services["guard"]["build"]["dockerfile"]).exists()


def _redis_is_durable(arguments: list[str]) -> bool:
    text = shlex.join(arguments)
    return all(
        setting in text
        for setting in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction")
    )


def test_every_redis_keeps_what_it_is_told() -> None:
    assert _redis_is_durable(loaded("compose.yaml")["services"]["redis"]["command"])
    redis = the_only("StatefulSet", "redis")["spec"]
    assert _redis_is_durable(redis["template"]["spec"]["containers"][0]["args"])
    assert redis["volumeClaimTemplates"][0]["metadata"]["name"] == "ledger"


def test_nothing_begins_a_ledger_at_every_start() -> None:
    started = [*loaded("compose.yaml")["services"].values(), *loaded("kustomization.yaml").values()]
    assert "init" not in re.findall(r"\w+", str([one for one in started if "init" in str(one)]))
    assert "kubernetes/init-job.yaml" not in loaded("kustomization.yaml")["resources"]


def test_kustomization_refers_to_what_is_there() -> None:
    made = loaded("kustomization.yaml")
    for path in made["resources"]:
        assert (EXAMPLES / path).exists()
    (policy,) = made["configMapGenerator"]
    assert [(EXAMPLES / one).exists() for one in policy["files"]] == [True]
    for name, kind in (("guard", "Deployment"), ("guard-init", "Job")):
        pod = the_only(kind, name)["spec"]["template"]["spec"]
        maps = [one["configMap"]["name"] for one in pod["volumes"] if "configMap" in one]
        assert maps == [policy["name"]]
        mounted = {one["name"] for one in pod["containers"][0]["volumeMounts"]}
        assert mounted == {one["name"] for one in pod["volumes"]}


def test_kubernetes_gives_the_guard_time_to_end_and_asks_its_own_probes() -> None:
    pod = the_only("Deployment", "guard")["spec"]["template"]["spec"]
    policy = read_policy(EXAMPLES / "guard.toml")
    assert pod["terminationGracePeriodSeconds"] > policy.limits.stop_seconds
    (container,) = pod["containers"]
    probes = {
        name: container[name]["httpGet"]["path"] for name in ("livenessProbe", "readinessProbe")
    }
    assert probes == {"livenessProbe": "/-/live", "readinessProbe": "/-/ready"}
    assert policy.metrics is not None
    assert policy.metrics.port in [one["containerPort"] for one in container["ports"]]


def test_every_selector_finds_a_pod() -> None:
    every = list(manifests())
    pods = [
        one["spec"]["template"]["metadata"]["labels"]
        for one in every
        if "template" in one.get("spec", {})
    ] + [{"app": "model"}]  # the user's own
    for one in every:
        spec = one.get("spec", {})
        wanted = [
            spec.get("selector", {}).get("matchLabels"),
            spec.get("podSelector", {}).get("matchLabels"),
        ]
        wanted += [spec["selector"]] if one["kind"] == "Service" else []
        wanted += [
            peer["podSelector"]["matchLabels"]
            for rule in spec.get("ingress", [])
            for peer in rule["from"]
        ]
        for labels in filter(None, wanted):
            assert any(labels.items() <= pod.items() for pod in pods), (one["kind"], labels)


def test_kubernetes_takes_the_manifests() -> None:
    validate = benched("kubernetes_validate")
    version = validate.latest_version()
    for one in manifests():
        validate.validate(one, version, strict=True)


def test_alerts_ask_for_metrics_that_there_are() -> None:
    there = {
        f"{family.name}{end}"
        for family in Metrics().registry.collect()
        for end in ("", "_total", "_bucket", "_sum", "_count")
    }
    rules = [rule for group in loaded("alerts.yaml")["groups"] for rule in group["rules"]]
    asked = {name for rule in rules for name in re.findall(r"darkroom_\w+", rule["expr"])}
    assert len(asked) >= 4
    assert asked <= there
    assert all(rule["annotations"]["summary"] and rule["labels"]["severity"] for rule in rules)


@pytest.mark.parametrize("name", ["nginx.conf", "envoy.yaml", "traefik.yaml"])
def test_no_gateway_tries_again_or_shows_probes(name: str) -> None:
    text = re.sub(r"#.*", "", (EXAMPLES / "front" / name).read_text())
    assert not re.search(r"retry|retries|proxy_next_upstream +(?!off| )", text)
    assert "/-/" in text
