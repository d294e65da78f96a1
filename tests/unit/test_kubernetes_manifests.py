"""The rendered manifests: rights, settings, probes, secrets, devices and images are right.

`make manifests` compares them with the schemas of Kubernetes and KEDA, and with the policies of a linter.
"""

import json
import re
import shutil
import subprocess
import tomllib
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from app.api.origin import HEALTH_CHECKS
from app.cli import cli
from app.resources import ROOT
from app.settings import Settings
from tests.support.deployment.kubernetes import (
    containers,
    environment,
    named,
    needs_kubectl,
    of_kind,
    rendered,
    templates,
)
from tools.manifests.rendering import INSTALLATIONS, KUBERNETES, OVERLAYS

pytestmark = needs_kubectl

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCUMENT = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
WORKERS = {"cpu": "layerscope-worker-demo", "gpu": "layerscope-worker-llama-3-2-3b"}
OF_OTHERS = {"HF_HUB_OFFLINE", "HF_TOKEN"}  # variables of the hub's library
OF_PODS = {"MODEL", "POD_IP"}  # variables that other variables and arguments name
SECRETS = {
    "LAYERSCOPE_DATABASE_URL": {"name": "layerscope", "key": "database-url"},
    "LAYERSCOPE_REDIS_URL": {"name": "layerscope", "key": "redis-url"},
}
CONNECT_SECONDS = 5  # the longest time to connect to the database, which gives back a shard


def deployment(overlay: str, name: str) -> Any:
    return named(overlay, "Deployment", name)["spec"]


def only_container(spec: Any) -> Any:
    (container,) = spec["template"]["spec"]["containers"]
    return container


def worker(overlay: str) -> Any:
    return only_container(deployment(overlay, WORKERS[overlay]))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_containers_have_no_more_rights_than_they_need(overlay: str) -> None:
    for container in containers(overlay):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_are_of_the_user_of_the_image_and_have_no_token(overlay: str) -> None:
    uid = int(re.findall(r"useradd --uid (\d+)", DOCKERFILE)[0])
    for template in templates(overlay):
        pod = template["spec"]
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == context["runAsGroup"] == context.get("fsGroup", uid) == uid
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert not any("hostPath" in volume for volume in pod.get("volumes", ()))
    accounts = of_kind(overlay, "ServiceAccount")
    assert all(account["automountServiceAccountToken"] is False for account in accounts)
    assert len(accounts) == (overlay in INSTALLATIONS)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_containers_request_and_limit_what_they_use(overlay: str) -> None:
    for container in containers(overlay):
        for amounts in (container["resources"]["requests"], container["resources"]["limits"]):
            assert {"cpu", "memory", "ephemeral-storage"} <= set(amounts)


@pytest.mark.parametrize("overlay", INSTALLATIONS)
def test_every_variable_is_a_setting(overlay: str) -> None:
    settings = {f"LAYERSCOPE_{name.upper()}" for name in Settings.model_fields}
    for container in containers(overlay):
        assert set(environment(container)) <= settings | OF_OTHERS | OF_PODS
    values = environment(only_container(deployment(overlay, "layerscope-api"))) | environment(worker(overlay))
    plain = {name.removeprefix("LAYERSCOPE_").lower(): value for name, value in values.items()}
    found = {name: value for name, value in plain.items() if isinstance(value, str)}
    Settings.model_validate({name: value for name, value in found.items() if name in Settings.model_fields})


@pytest.mark.parametrize("overlay", INSTALLATIONS)
def test_secrets_come_from_secrets(overlay: str) -> None:
    served = [each for each in containers(overlay) if "LAYERSCOPE_DATABASE_URL" in environment(each)]
    assert {each["name"] for each in served} == {"api", "migrate", "wait-for-migrations", "worker"}
    for container, (name, key) in product(served, SECRETS.items()):
        assert environment(container)[name] == {"secretKeyRef": key}
    assert not of_kind(overlay, "Secret")
    assert "://" not in str([environment(each) for each in containers(overlay)])


@pytest.mark.parametrize("overlay", INSTALLATIONS)
def test_every_secret_is_documented(overlay: str) -> None:
    text = str(rendered(overlay))
    keys = {  # of pods, and of KEDA
        *re.findall(r"'secretKeyRef': \{'key': '(\S+)', 'name': '(\S+)'", text),
        *re.findall(r"\{'key': '(\S+)', 'name': '(\S+)', 'parameter'", text),
    }
    assert len(keys) == {"cpu": 2, "gpu": 9}[overlay]
    for key, name in keys:
        assert f"secret generic {name} " in DOCUMENT
        assert f"--from-literal={key}=" in DOCUMENT


@pytest.mark.parametrize("overlay", INSTALLATIONS)
def test_a_worker_has_time_to_stop(overlay: str) -> None:
    default = Settings.model_fields["stop_seconds"].default
    stop = float(environment(worker(overlay)).get("LAYERSCOPE_STOP_SECONDS", default))
    pod = deployment(overlay, WORKERS[overlay])["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= stop + CONNECT_SECONDS + 1


@pytest.mark.parametrize("overlay", INSTALLATIONS)
def test_the_api_has_time_to_stop(overlay: str) -> None:
    """After the nodes have stopped to send requests, open ones have the time that app/cli.py grants."""
    spec = deployment(overlay, "layerscope-api")
    graceful = re.findall(r"timeout_graceful_shutdown=(\d+)", (ROOT / "app" / "cli.py").read_text())
    (program, seconds) = only_container(spec)["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "sleep"
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] >= int(seconds) + int(graceful[0]) + 10


@pytest.mark.parametrize(("overlay", "name"), list(product(INSTALLATIONS, ("api", "worker"))))
def test_probes_ask_what_exists(overlay: str, name: str) -> None:
    spec = deployment(overlay, "layerscope-api") if name == "api" else deployment(overlay, WORKERS[overlay])
    container = only_container(spec)
    paths = [container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")]
    live, ready = HEALTH_CHECKS
    assert paths == [live, live, ready]
    ports = {container[f"{kind}Probe"]["httpGet"]["port"] for kind in ("startup", "liveness", "readiness")}
    (port,) = container["ports"]
    assert ports == {port["name"]}
    if name == "worker":
        assert str(port["containerPort"]) == environment(container)["LAYERSCOPE_WORKER_METRICS_PORT"]
        assert environment(container)["LAYERSCOPE_WORKER_METRICS_HOST"] == "0.0.0.0"
    else:
        arguments = container["args"]
        assert str(port["containerPort"]) == arguments[arguments.index("--port") + 1]


def test_a_worker_has_one_gpu_and_reads_the_shared_models() -> None:
    spec = deployment("gpu", WORKERS["gpu"])
    container = worker("gpu")
    assert container["resources"]["requests"]["nvidia.com/gpu"] == 1
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert container["image"].endswith("-gpu")
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    home = re.findall(r"HF_HOME=(\S+)", DOCKERFILE)[0]
    assert (mounts["model-cache"]["mountPath"], mounts["model-cache"]["readOnly"]) == (home, True)
    assert environment(container)["HF_HUB_OFFLINE"] == "1"
    assert "HF_TOKEN" not in environment(container)
    (claim,) = of_kind("gpu", "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    volumes = {volume["name"]: volume for volume in spec["template"]["spec"]["volumes"]}
    name = claim["metadata"]["name"]
    assert volumes["model-cache"]["persistentVolumeClaim"]["claimName"] == name
    waiting = [each["name"] for each in spec["template"]["spec"]["initContainers"]]
    assert set(waiting) == {"wait-for-migrations", "wait-for-model"}
    # A new pod needs the GPU of an old one.
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_a_worker_without_a_gpu_does_not_ask_for_one() -> None:
    assert "nvidia.com/gpu" not in str(rendered("cpu"))
    assert worker("cpu")["image"].endswith("-cpu")


@pytest.mark.parametrize("overlay", INSTALLATIONS)
def test_the_api_is_replaced_without_an_interruption(overlay: str) -> None:
    spec = deployment(overlay, "layerscope-api")
    assert spec["replicas"] >= 2
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    (first,) = spec["template"]["spec"]["initContainers"]
    assert first["args"][:2] == ["migrate", "--wait"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_images_are_those_of_the_release(overlay: str) -> None:
    repository = PROJECT["urls"]["Source"].removeprefix("https://github.com/")
    workflow = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert "IMAGE: ghcr.io/${{ github.repository }}\n" in workflow
    assert "suffix=-${{ matrix.target }}\n" in workflow
    targets = re.findall(r"^FROM base AS (\w+)$", DOCKERFILE, re.MULTILINE)
    allowed = {f"ghcr.io/{repository}:{PROJECT['version']}-{target}" for target in targets}
    assert {container["image"] for container in containers(overlay)} <= allowed


@pytest.mark.parametrize("overlay", INSTALLATIONS)
def test_the_migrations_of_each_version_are_a_job_of_their_own(overlay: str) -> None:
    (job,) = [each for each in of_kind(overlay, "Job") if "migrate" in each["metadata"]["name"]]
    assert job["metadata"]["name"] == f"layerscope-migrate-{PROJECT['version']}"


@pytest.mark.parametrize("overlay", INSTALLATIONS)
def test_commands_exist(overlay: str) -> None:
    for container in containers(overlay):
        if "command" in container:
            assert container["command"] == ["python", "-m", "worker.fetch_model"]
        else:
            answer = CliRunner().invoke(cli, [*container["args"], "--help"])
            assert answer.exit_code == 0, answer.output


@pytest.mark.parametrize("overlay", INSTALLATIONS)
def test_workers_serve_listed_models(overlay: str) -> None:
    listed = tomllib.loads((KUBERNETES / "base" / "models.toml").read_text(encoding="utf-8"))
    for each in of_kind(overlay, "Deployment"):
        name = each["spec"]["template"]["metadata"]["labels"].get("app.kubernetes.io/instance")
        if name is not None:
            container = only_container(each["spec"])
            assert container["args"] == ["worker", "--model", "$(MODEL)"]
            field = {"fieldPath": "metadata.labels['app.kubernetes.io/instance']"}
            assert environment(container)["MODEL"]["fieldRef"] == field
            assert name in listed


def test_the_model_list_is_that_of_the_repository() -> None:
    ours = tomllib.loads((ROOT / "models.toml").read_text(encoding="utf-8"))
    folder = re.findall(r"^WORKDIR (\S+)$", DOCKERFILE, re.MULTILINE)[0]
    ours["demo"]["source"] = f"{folder}/{ours['demo']['source']}"
    assert tomllib.loads((KUBERNETES / "base" / "models.toml").read_text(encoding="utf-8")) == ours


@pytest.mark.parametrize("overlay", INSTALLATIONS)
def test_a_disruption_budget_is_for_the_pods_of_one_deployment(overlay: str) -> None:
    labels = [template["metadata"]["labels"] for template in templates(overlay)]
    budgets = of_kind(overlay, "PodDisruptionBudget")
    assert len(budgets) == len(of_kind(overlay, "Deployment"))
    for budget in budgets:
        wanted = budget["spec"]["selector"]["matchLabels"].items()
        assert sum(wanted <= each.items() for each in labels) == 1
        assert budget["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize("overlay", INSTALLATIONS)
def test_the_cache_of_files_fits_into_its_volume(overlay: str) -> None:
    spec = deployment(overlay, "layerscope-api")
    volumes = {volume["name"]: volume for volume in spec["template"]["spec"]["volumes"]}
    claim = volumes["home"]["ephemeral"]["volumeClaimTemplate"]["spec"]
    gibibytes = int(claim["resources"]["requests"]["storage"].removesuffix("Gi"))
    limit = int(environment(only_container(spec))["LAYERSCOPE_FILES_LIMIT_BYTES"])
    assert 2 * limit <= gibibytes * 2**30
    mounts = {mount["name"]: mount["mountPath"] for mount in only_container(spec)["volumeMounts"]}
    assert mounts["home"] == re.findall(r"LAYERSCOPE_HOME=(\S+)", DOCKERFILE)[0]


def test_keda_scales_an_existing_deployment_by_the_work_of_its_model() -> None:
    (scaled,) = of_kind("gpu", "ScaledObject")
    spec = deployment("gpu", scaled["spec"]["scaleTargetRef"]["name"])
    assert "replicas" not in spec  # applying the manifests again must not change what KEDA has set
    model = spec["template"]["metadata"]["labels"]["app.kubernetes.io/instance"]
    (trigger,) = scaled["spec"]["triggers"]
    assert f"job.model = '{model}'" in trigger["metadata"]["query"]
    (authentication,) = of_kind("gpu", "TriggerAuthentication")
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]


def test_namespaces_of_others_are_documented() -> None:
    text = (KUBERNETES / "base" / "network.yaml").read_text(encoding="utf-8")
    names = set(re.findall(r"kubernetes.io/metadata.name: ([\w-]+)", text)) - {"kube-system"}
    assert names == {"databases", "ingress", "monitoring"}
    assert all(f"| `{name}` |" in DOCUMENT for name in names)


@pytest.mark.parametrize("overlay", INSTALLATIONS)
def test_nothing_may_connect_unless_a_policy_allows_it(overlay: str) -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind(overlay, "NetworkPolicy")}
    assert policies.pop("deny-all") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    outside = {name for name, policy in policies.items() if "ipBlock" in str(policy)}
    assert outside == ({"hub"} if overlay == "gpu" else set())
    for name, policy in policies.items():
        for rule in (*policy.get("ingress", ()), *policy.get("egress", ())):
            assert rule["ports"], name
            assert rule.get("to") or rule.get("from"), name
    of_metrics = policies["worker-metrics"]["ingress"][0]["ports"][0]["port"]
    assert of_metrics == worker(overlay)["ports"][0]["containerPort"]
    (of_api,) = policies["api"]["ingress"][0]["ports"]
    api = only_container(deployment(overlay, "layerscope-api"))
    assert of_api["port"] == api["ports"][0]["containerPort"]


@pytest.mark.parametrize("overlay", INSTALLATIONS)
def test_every_pod_may_reach_what_it_needs(overlay: str) -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind(overlay, "NetworkPolicy")}
    (rule,) = policies["servers"]["podSelector"]["matchExpressions"]
    pods = [*templates(overlay), *templates("keys")]
    needing = {
        pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods if "database-url" in str(pod)
    }
    assert (rule["key"], rule["operator"]) == ("app.kubernetes.io/component", "In")
    assert set(rule["values"]) == needing


def test_prometheus_finds_the_ports_and_names_the_jobs_of_the_alerts() -> None:
    file = KUBERNETES / "prometheus" / "scrape.yml"
    jobs = {job["job_name"]: job for job in YAML(typ="safe").load(file)["scrape_configs"]}
    alerts = (ROOT / "deploy" / "observability" / "alerts.yml").read_text(encoding="utf-8")
    assert set(jobs) == set(re.findall(r'job="([\w-]+)"', alerts))
    ports = {
        (
            template["metadata"]["labels"]["app.kubernetes.io/component"],
            template["spec"]["containers"][0].get("ports", [{}])[0].get("name"),
        )
        for template in templates("gpu")
    }
    for job in jobs.values():
        component, port = job["relabel_configs"][0]["regex"].split(";")
        assert (component, port) in ports


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing: run `make programs` as root"
)
def test_the_scrape_configuration_is_valid(tmp_path: Path) -> None:
    """Except for the discovery of pods, which the promtool of Debian does not have."""
    configuration = YAML(typ="safe").load(KUBERNETES / "prometheus" / "scrape.yml")
    for job in configuration["scrape_configs"]:
        (pods,) = job.pop("kubernetes_sd_configs")
        assert pods["namespaces"] == {"names": ["layerscope"]}
    (file := tmp_path / "scrape.yml").write_text(json.dumps(configuration), encoding="utf-8")
    run = subprocess.run(["promtool", "check", "config", file], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
