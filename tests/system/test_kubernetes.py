"""deploy/kubernetes holds together, and agrees with the containers and the programs. No cluster is needed: files are compared."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from server import BIN, PATIENCE, sanitizers

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES, DOCKER = ROOT / "deploy/kubernetes", ROOT / "deploy/docker"
PLAIN = {"ConfigMap", "Namespace", "NetworkPolicy", "PersistentVolumeClaim", "PodDisruptionBudget", "ScaledObject", "Service"}
NAME = "app.kubernetes.io/name"
READ_ONLY_SECRETS = 0o440


def documents(path):
    return [d for d in yaml.safe_load_all(path.read_text()) if d]


def kustomization(folder):
    return documents(folder / "kustomization.yaml")[0]


BASE = [d for name in kustomization(KUBERNETES / "base")["resources"] for d in documents(KUBERNETES / "base" / name)]
EXAMPLE = kustomization(KUBERNETES / "example")
WORKLOADS = {d["metadata"]["name"]: d for d in BASE if d["kind"] in ("Deployment", "StatefulSet")}
SERVICES = {d["metadata"]["name"]: d for d in BASE if d["kind"] == "Service"}
COMPOSE = documents(DOCKER / "compose.yaml")[0]["services"]


def pod(name):
    return WORKLOADS[name]["spec"]["template"]


def containers(name):
    return pod(name)["spec"].get("initContainers", []) + pod(name)["spec"]["containers"]


def literals(folder):
    return dict(literal.split("=", 1) for made in kustomization(folder)["configMapGenerator"] for literal in made["literals"])


def of_kind(kind):
    return {d["metadata"]["name"]: d for d in BASE if d["kind"] == kind}


def bytes_of(text):
    number, unit = re.fullmatch(r"(\d+)([KMGT]?)i?", text).groups()
    return int(number) << 10 * " KMGT".index(unit or " ")


def is_reached(port, container):
    return port in [p["containerPort"] for p in container["ports"]]


def test_every_file_is_named_and_every_name_is_there():
    for folder in [path.parent for path in KUBERNETES.rglob("kustomization.yaml")]:
        found = kustomization(folder)
        for name in found.get("resources", []) + found.get("components", []):
            assert (folder / name).exists(), (folder, name)
        assert {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"} <= set(found.get("resources", [])), folder
        for patch in found.get("patches", []):
            targets = [d for d in BASE if d["kind"] == patch["target"]["kind"] and patch["target"].get("name", d["metadata"]["name"]) == d["metadata"]["name"]]
            assert targets and yaml.safe_load(patch["patch"]), (folder, patch)
    assert {d["kind"] for d in BASE} - {"Deployment", "StatefulSet"} <= PLAIN
    assert all(d["apiVersion"] and d["metadata"]["name"] for d in BASE)


def test_all_that_compose_runs_is_there():
    assert set(WORKLOADS) == set(COMPOSE) - {"init"}  # whose work is that of make-secrets and fsGroup
    assert set(SERVICES) == {"redis", "clamav", "api", "web"}


@pytest.mark.parametrize("name", WORKLOADS)
def test_labels_are_what_selectors_look_for(name):
    labels = pod(name)["metadata"]["labels"]
    assert WORKLOADS[name]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert labels[NAME] == name
    for spread in pod(name)["spec"].get("topologySpreadConstraints", []):
        assert spread["labelSelector"]["matchLabels"].items() <= labels.items()


def test_what_selects_finds_somebody():
    for d in BASE:
        if d["kind"] == "Service":
            chosen = d["spec"]["selector"]
        elif d["kind"] == "PodDisruptionBudget":
            chosen = d["spec"]["selector"]["matchLabels"]
            assert WORKLOADS[chosen[NAME]]["spec"]["replicas"] > d["spec"]["minAvailable"], "else no node could ever be emptied"
        else:
            continue
        assert chosen[NAME] in WORKLOADS and d["metadata"]["name"] == chosen[NAME]


def test_services_lead_to_open_ports():
    for name, service in SERVICES.items():
        for port in service["spec"]["ports"]:
            assert is_reached(port["targetPort"], containers(name)[-1]), (name, port)


@pytest.mark.parametrize("name", WORKLOADS)
def test_images_users_and_commands_are_those_of_the_containers(name):
    images = {stage for stage in re.findall(r"^FROM base AS (\w+)$", (DOCKER / "Dockerfile").read_text(), re.M)} - {"build", "page"}
    for container in containers(name):
        image = container["image"]
        assert image.removeprefix("decant-") in images
        assert image == COMPOSE[name]["image"].partition(":")[0]
        assert container.get("command", []) == COMPOSE[name].get("command", []) or container["name"] == "secrets"
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            for program in container.get(probe, {}).get("exec", {}).get("command", []):
                folder = {"decant-scanner": "scanner", "decant-redis": "redis"}.get(image, image.removeprefix("decant-"))
                assert (DOCKER / folder / Path(program).name).exists() and Path(program).parent == Path("/usr/local/lib/decant")
    stage = re.search(rf"^FROM base AS {containers(name)[0]['image'].removeprefix('decant-')}$(.*?)(?=^FROM|\Z)", (DOCKER / "Dockerfile").read_text(), re.M | re.S)
    uid, gid = map(int, re.search(r"^USER (\d+):(\d+)$", stage[1], re.M).groups())
    security = pod(name)["spec"]["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (uid, gid, gid)
    assert {image["name"] for image in EXAMPLE["images"]} == {c["image"] for n in WORKLOADS for c in containers(n)}


@pytest.mark.parametrize("name", WORKLOADS)
def test_everybody_is_held_in(name):
    spec = pod(name)["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "serviceAccountName"} & set(spec)
    assert spec["securityContext"]["seccompProfile"]["type"] == ("Localhost" if name == "worker" else "RuntimeDefault")
    for container in containers(name):
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert container["resources"]["limits"]["memory"] and container["resources"]["requests"].keys() == {"cpu", "memory"}
    for volume in spec["volumes"]:
        assert set(volume) - {"name"} <= {"emptyDir", "secret", "persistentVolumeClaim"}
        assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"]


@pytest.mark.parametrize("name", WORKLOADS)
def test_mounts_and_volumes_are_those_of_each_other(name):
    spec = pod(name)["spec"]
    claims = {c["metadata"]["name"] for c in WORKLOADS[name]["spec"].get("volumeClaimTemplates", [])}
    volumes = {v["name"] for v in spec["volumes"]} | claims
    assert {m["name"] for c in containers(name) for m in c["volumeMounts"]} == volumes
    for volume in spec["volumes"]:
        claim = volume.get("persistentVolumeClaim")
        assert not claim or claim["claimName"] in of_kind("PersistentVolumeClaim")
    # What compose mounts is mounted at the same place, and written by the same.
    theirs = {re.search(r":(/[^:]+)", v)[1]: v.endswith(":ro") for v in COMPOSE[name]["volumes"] if "acme" not in v.lower()}
    ours = {m["mountPath"]: m.get("readOnly", False) for m in containers(name)[-1]["volumeMounts"]}
    sockets = {"/run/decant/redis", "/run/decant/scanner"}  # by TCP here
    assert set(theirs) - set(ours) <= sockets and set(ours) - set(theirs) <= {"/tmp"}
    for path in set(theirs) & set(ours) - {"/run/decant/tls"}:  # where compose makes a certificate
        assert theirs[path] == ours[path], path


def test_every_variable_is_known():
    known = set(re.findall(r'"(DECANT_[A-Z_]+)"', (ROOT / "src/core/settings.c").read_text()))
    for script in ("api", "redis", "scanner", "web"):
        known |= set(re.findall(r"DECANT_[A-Z_]+", (DOCKER / script / "start").read_text()))
    used = set()
    for name in WORKLOADS:
        for container in containers(name):
            used |= {e["name"] for e in container.get("env", [])}
    settings = literals(KUBERNETES / "base")
    used |= set(settings) | set(literals(KUBERNETES / "example"))
    assert len(used) > 10 and used <= known, used - known
    # The files that they name are mounted where they are said to be.
    for name in WORKLOADS:
        container = containers(name)[-1]
        own = {e["name"]: e["value"] for e in container.get("env", [])}
        assert not set(own) & set(settings), "env would silently win"
        for variable, value in own.items():
            if value.startswith("/run/decant/secrets/"):
                given = secret_keys()[name]
                assert Path(value).name in given | {"jwt" for file in given if file.endswith(".pem")}, variable


def secret_keys():
    return {made["name"]: {Path(file).name for file in made["files"]} for made in EXAMPLE["secretGenerator"]}


def test_secrets_come_by_file_and_from_somewhere():
    for name in WORKLOADS:
        for container in containers(name):
            assert all("value" in e for e in container.get("env", [])), "no secret in an environment"
        for volume in pod(name)["spec"]["volumes"]:
            if "secret" in volume:
                secret = volume["secret"]
                assert secret["secretName"] == name and secret["defaultMode"] == READ_ONLY_SECRETS
                assert {i["key"] for i in secret.get("items", [])} <= secret_keys()[name]
    assert "seal" not in secret_keys()["api"] and "seal.public" not in secret_keys()["worker"]
    # What the start scripts read is given.
    for name in ("api", "redis"):
        wanted = set(re.findall(r"/run/decant/secrets/([\w.]+)", (DOCKER / name / "start").read_text()))
        assert wanted <= secret_keys()[name], name


def make_secrets(folder):
    answer = subprocess.run([KUBERNETES / "make-secrets", folder], env={"PATH": "/usr/bin:/bin", "DECANT": str(BIN / "decant"), **sanitizers()}, capture_output=True,
                            text=True, timeout=PATIENCE, check=True)
    return answer.stdout + answer.stderr


def test_secrets_are_made_once(tmp_path):
    folder = tmp_path / "secrets"
    assert "missing" in make_secrets(folder)
    made = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(made) == set().union(*secret_keys().values()) - {"tls.crt", "tls.key"}
    assert made.pop("jwt-1.pem").startswith("-----BEGIN PRIVATE KEY-----\n")
    assert all(re.fullmatch("[0-9a-f]{64}\n", text) for text in made.values()) and len(set(made.values())) == len(made)
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
    (folder / "metrics").unlink()
    for name in ("tls.crt", "tls.key"):
        (folder / name).touch()
    assert make_secrets(folder) == "made metrics\n"
    assert all((folder / name).read_text() == text for name, text in made.items() if name != "metrics")


def allowed(direction, key):
    """(whose policy, the other one, port)"""
    found = set()
    for policy in of_kind("NetworkPolicy").values():
        own = policy["spec"]["podSelector"].get("matchLabels", {}).get(NAME)
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        for rule in policy["spec"].get(direction, []):
            for peer in rule.get(key, []):
                if "podSelector" in peer:
                    found |= {(own, peer["podSelector"]["matchLabels"][NAME], port["port"]) for port in rule["ports"]}
    return found


def test_networks_are_those_of_compose():
    policies = of_kind("NetworkPolicy")
    assert policies["nobody"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert set(policies) == set(WORKLOADS) | {"nobody"}
    outgoing, incoming = allowed("egress", "to"), allowed("ingress", "from")
    assert outgoing == {("web", "api", 8080), ("api", "redis", 6379), ("worker", "redis", 6379), ("worker", "clamav", 3310), ("courier", "redis", 6379)}
    assert {(a, b, port) for b, a, port in incoming} == outgoing
    for own, other, port in outgoing:
        assert is_reached(port, containers(other)[-1])
    # Who has no network in compose has nothing else here: no address, no other namespace, no DNS.
    for name in WORKLOADS:
        peers = [peer for rule in policies[name]["spec"].get("egress", []) for peer in rule["to"]]
        assert all(set(peer) == {"podSelector"} for peer in peers) or COMPOSE[name].get("networks") in (["updates"], ["outside"]), name
    assert not [name for name in ("worker", "freshclam", "courier") if "ingress" in policies[name]["spec"]]


def test_variables_that_kubernetes_makes_are_no_settings():
    """Of each service's name, in pods that don't refuse them: a service named decant would set DECANT_PORT."""
    assert not [name for name in SERVICES if name.upper().replace("-", "_").startswith("DECANT")]
    for folder in [path.parent for path in KUBERNETES.rglob("kustomization.yaml")]:
        assert not {"namePrefix", "nameSuffix"} & set(kustomization(folder))
    for name in WORKLOADS:
        asked = {v for c in containers(name) for e in c.get("env", []) for v in re.findall(r"\$\((\w+)_SERVICE_HOST\)", e["value"])}
        assert {a.lower() for a in asked} <= set(SERVICES)
        assert bool(asked) == pod(name)["spec"].get("enableServiceLinks", True), name


def test_what_has_to_be_in_step_is():
    settings = literals(KUBERNETES / "base")
    defaults = dict(re.findall(r'"(DECANT_[A-Z_]+)", "[a-z-]+",\s[^"]*"(\w+)"', (ROOT / "src/core/settings.c").read_text()))
    worker, api = containers("worker")[-1], containers("api")[-1]
    grace = int({e["name"]: e["value"] for e in worker["env"]}["DECANT_GRACE"])
    assert grace > int(defaults["DECANT_JOB_TIMEOUT"])
    assert pod("worker")["spec"]["terminationGracePeriodSeconds"] >= grace + 3 + 10
    pause = int(api["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod("api")["spec"]["terminationGracePeriodSeconds"] >= pause + int(defaults["DECANT_GRACE"]) + 10
    memory = int(settings["DECANT_JOBS"]) * bytes_of(settings["DECANT_JOB_MEMORY"]) + (1 << 30)
    assert bytes_of(worker["resources"]["limits"]["memory"]) >= memory
    assert int(worker["resources"]["requests"]["cpu"]) == int(settings["DECANT_JOBS"])
    for name in WORKLOADS:  # as compose has it
        limit = re.search(r"(\d+[mg])\}?$", COMPOSE[name]["mem_limit"])[1].upper()
        assert bytes_of(containers(name)[-1]["resources"]["limits"]["memory"]) == bytes_of(limit), name


def test_what_the_example_has_commented_out_fits():
    text = (KUBERNETES / "example/kustomization.yaml").read_text()
    whole = yaml.safe_load(re.sub(r"^( *)#(?=[a-z-])", r"\1", text, flags=re.M))
    assert {key for key in whole if key not in EXAMPLE} == {"components", "replicas"}
    assert all((KUBERNETES / "example" / component).exists() for component in whole["components"])
    assert all(WORKLOADS[one["name"]]["spec"]["replicas"] == 0 and one["count"] for one in whole["replicas"])
    given = dict(literal.split("=", 1) for literal in whole["configMapGenerator"][0]["literals"])
    assert len(given) > 5 and set(given) - {"DECANT_HOST"} <= set(re.findall(r'"(DECANT_[A-Z_]+)"', (ROOT / "src/core/settings.c").read_text()))
    # Files that the courier's settings name are told beside its secret.
    courier = next(line for line in text.splitlines() if "secrets/oidc" in line and "files:" in line)
    assert all("secrets/" + Path(value).name in courier for value in given.values() if value.startswith("/run/decant/secrets/"))


def test_it_scales_by_metrics_that_are_there():
    scaled = documents(KUBERNETES / "components/autoscaling/worker.yaml")[0]["spec"]
    assert scaled["scaleTargetRef"]["name"] in WORKLOADS and scaled["minReplicaCount"] > of_kind("PodDisruptionBudget")["worker"]["spec"]["minAvailable"]
    text = (ROOT / "docs/metrics.md").read_text()
    names = re.findall(r"decant_\w+", scaled["triggers"][0]["metadata"]["query"])
    assert names and all(f"| `{name}` |" in text for name in names)
    assert int(scaled["triggers"][0]["metadata"]["threshold"]) == 2 * int(literals(KUBERNETES / "base")["DECANT_JOBS"])


def test_probes_ask_for_what_the_api_answers():
    api = containers("api")[-1]
    for probe in ("startupProbe", "livenessProbe"):
        assert api[probe]["httpGet"] == {"path": "/healthz", "port": 8080}
    assert "GET /readyz " in (DOCKER / "api/ready").read_text()


def test_the_profile_lets_the_sandbox_be_made():
    profile = json.loads((DOCKER / "worker/seccomp.json").read_text())
    named = {name for rule in profile["syscalls"] for name in rule["names"]}
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert {"clone", "unshare", "mount", "umount2", "pivot_root", "open_tree", "move_mount", "mount_setattr"} <= named
    assert pod("worker")["spec"]["securityContext"]["seccompProfile"]["localhostProfile"] in (KUBERNETES / "README.md").read_text()
