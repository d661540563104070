"""What the documents show is what happens: the README's curl session runs as it stands, and docs/api.md has every code."""

import re
import subprocess
from pathlib import Path

import pytest
import requests

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()
API = (REPOSITORY / "docs" / "api.md").read_text()


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def curl_session():
    (block,) = [block for block in blocks(README, "sh") if block.startswith("URL=")]
    return block


def test_curl_session(server, tmp_path):
    script = re.sub(r"^URL=.*", f"URL={server.url}", curl_session())
    run = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120,
                         env={"PATH": "/usr/bin:/bin", "CSRF": ""})
    assert run.returncode == 0, run.stdout + run.stderr
    assert '"status":"completed"' in run.stdout
    assert (tmp_path / "hello.pdf").read_bytes().startswith(b"%PDF-")


def test_one_call(server, tmp_path):
    session = re.sub(r"^URL=.*", f"URL={server.url}", curl_session()).splitlines()
    (block,) = [block for block in blocks(README, "sh") if "/v1/convert" in block]
    script = "\n".join([*(line for line in session if line.startswith(("URL=", "api()", "field()", "echo", "CSRF="))), block])
    run = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120,
                         env={"PATH": "/usr/bin:/bin", "CSRF": ""})
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "hello.pdf").read_bytes().startswith(b"%PDF-")


def test_serve_prints_the_same_session(server):
    server.wait_log("Decant is ready")
    said = server.log()
    for line in curl_session().splitlines()[1:]:
        assert f"  {line}\n" in said, line


def test_serve_starts_without_complaints(own_server):
    server = own_server(None)
    for complaint in ('"level":"error"', "can't be reached", '"state":"down"', "part died", "part ended"):
        assert complaint not in server.log()


def test_api_page_has_every_code():
    """And what to do about it."""
    source = (REPOSITORY / "src" / "api" / "error.c").read_text()
    codes = re.findall(r'\{(\d{3}), "(\w+)",', source)
    assert len(codes) >= 20
    assert sorted(codes) == sorted(re.findall(r"^\| (\d{3}) \| `(\w+)` \| [^|]+ \| [^|]+ \|$", API, re.M))
    outcomes = set(re.findall(r'\{\s*"([a-z_]+)",\s*"[A-Z]', (REPOSITORY / "src" / "core" / "outcome.c").read_text())) - {"ok"}
    assert len(outcomes) == 14
    told = API[API.index("A failed job says why"):API.index("\n## ", API.index("A failed job says why"))]
    assert outcomes == set(re.findall(r"^\| `(\w+)` \| [a-z][^|]+ \| [^|]+ \|$", told, re.M)) - {"error_code"}


def test_api_page_has_the_status_of_every_failure():
    source = (REPOSITORY / "src" / "api" / "failure.c").read_text()
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (\d{3})\b", API[API.index("`code` of the conversion"):], re.M)
    told = {code: status for codes, status in rows for code in re.findall(r"`(\w+)`", codes)}
    assert told == {code: status for status, code in re.findall(r'\{(\d{3}), "(\w+)",', source)} and len(told) == 14


def test_api_page_has_every_path():
    routes = re.findall(r'\{"([A-Z]+)", "(/[^"]*)",', (REPOSITORY / "src" / "api" / "routes.c").read_text())
    assert len(routes) >= 11
    for method, path in routes:
        assert f"`{method} {path}`" in API, path


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "docs/api.md", "docs/http.md",
                                  "docs/queue.md", "docs/sandbox.md", "docs/hostile.md", "docs/fuzzing.md", "docs/metrics.md", "docs/threat-model.md", "docs/operations.md",
                                  "docs/deployment.md", "docs/quick-start.md", "docs/examples.md", "docs/cookbook.md", "docs/coming-from.md", "docs/accounts.md", "docs/webhooks.md",
                                  "deploy/docker/README.md", "deploy/kubernetes/README.md"])
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (REPOSITORY / page).read_text()):
        assert ((REPOSITORY / page).parent / link).exists(), link


def test_number_of_formats(client):
    formats = requests.get(client.url + "/formats").json()["formats"].values()
    assert set(re.findall(r"(\d+) formats", README)) == {str(sum(bool(entry["targets"]) for entry in formats))}


def test_job_status_has_the_members_of_the_page(client):
    from fixtures import png
    (example,) = [block for block in blocks(API, "json") if '"sha256"' in block]
    job, _ = client.result("a.png", png(), "jpg")
    assert set(re.findall(r'"(\w+)":', example)) - {"filename", "pages", "font", "used", "metric_compatible"} <= set(job) | {"mime_type", "size"}
    assert set(job) <= set(re.findall(r'"(\w+)":', example))
    ready = requests.get(client.url + "/readyz").json()
    assert {"redis", "storage", "disk", "queue", "workers", "engines", "scanner", "sandbox", "ready"} == set(ready)
