"""decant-courier with a Redis of the test's own and a receiver that speaks HTTPS, with an authority of its own. What the API and the worker
leave in Redis for it is put there by hand."""

import base64
import contextlib
import http.server
import json
import os
import pwd
import re
import secrets
import shutil
import ssl
import subprocess
import threading
import time
import uuid
from pathlib import Path

import pytest
import redis

import accounts
from client import new_client, problem
from fixtures import png
from parts import Parts, parts_folder
from server import BIN, PATIENCE, eventually, free_port, sanitizers, still

DOCS = (Path(__file__).resolve().parents[2] / "docs/webhooks.md").read_text()
NAME = "localhost"  # of the receiver: it leads to a loopback address, as an attacker's name could
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
LOOPBACK = "127.0.0.0/8 ::1"


def make_certificate(folder):
    """An authority, and a certificate of its for NAME alone."""
    def openssl(*argv):
        subprocess.run(["openssl", *argv], cwd=folder, check=True, capture_output=True, timeout=PATIENCE)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=An authority")
    openssl("req", *key, "-keyout", "key.pem", "-out", "request.pem", "-subj", f"/CN={NAME}")
    (folder / "names").write_text(f"subjectAltName=DNS:{NAME}\n")
    openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "certificate.pem")


class Receiver:
    """Answers /N with the status N; /N,M with N the first time. What came is in `got`."""

    def __init__(self, folder):
        self.got, self.held, self.lock = [], threading.Event(), threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                with receiver.lock:
                    receiver.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                    seen = sum(path == self.path for path, *_ in receiver.got)
                if self.path.startswith("/held"):
                    receiver.held.wait(PATIENCE)
                statuses = [int(n) for n in re.findall(r"\d+", self.path.partition("?")[0])] or [200]
                with contextlib.suppress(OSError):  # the courier was killed
                    self.send_response(statuses[min(seen, len(statuses)) - 1])
                    self.send_header("Location", f"https://{NAME}:{receiver.port}/elsewhere")
                    self.send_header("Content-Length", "300000" if "long" in self.path else "2")
                    self.end_headers()
                    self.wfile.write(b"x" * 300000 if "long" in self.path else b"ok")

            do_GET = do_POST

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):  # a handshake that failed, as it should
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_port
        self.url = f"https://{NAME}:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, path):
        with self.lock:
            return [(headers, body) for at, headers, body in self.got if at == path]


class Post(Parts):
    def __init__(self, folder):
        make_certificate(folder)
        self.receiver = Receiver(folder)
        self.redis_port = free_port()
        super().__init__(folder, DECANT_REDIS=f"tcp:127.0.0.1:{self.redis_port}", DECANT_WEBHOOKS="on", DECANT_CA_FILE=str(folder / "ca.pem"),
                         DECANT_COURIER_NETWORKS=LOOPBACK, DECANT_COURIER_PORTS=f"443 {self.receiver.port}", DECANT_COURIER_USER="decant")
        self.redis = redis.Redis(port=self.redis_port, decode_responses=True)
        self.start_redis()

    def start_redis(self):
        self.start("redis", "redis-server", "--port", str(self.redis_port), "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--dir", str(self.folder))
        eventually(self.redis_answers)

    def redis_answers(self):
        with contextlib.suppress(redis.RedisError):
            return self.redis.ping()

    @contextlib.contextmanager
    def courier(self, name="decant-courier", **environment):
        self.start(name, BIN / "decant-courier", **environment)
        try:
            yield self.processes[name]
        finally:
            if name in self.processes:
                self.end([name])
                del self.processes[name]

    def account(self, **fields):
        account, space = str(uuid.uuid4()), secrets.token_hex(32)
        self.redis.hset(f"account:{account}", mapping={"id": account, "webhook_hosts": f"example.com {NAME} 127.0.0.1 ::1", "webhook_secret": SECRET, "disabled": "", **fields})
        self.redis.hset(f"session:{space}", mapping={"account": account, "created_at": "x"})
        return account, space

    def ended(self, space, path, status="completed", tell=True, url=None):
        """A conversion with a callback has just ended."""
        job, task = str(uuid.uuid4()), str(uuid.uuid4())
        self.redis.hset(f"session:{space}:jobs:{job}", mapping={
            "job_id": job, "session_id": space, "original_filename": "Bericht.docx", "source_format": "docx", "target_format": "pdf", "status": status, "task_id": task,
            "completed_at": "2026-11-30T10:00:00.000Z", "options": "{}", "stored_path": "secret/path", "size": 7, "callback_url": url or self.receiver.url + path})
        self.redis.hset("decant:webhooks:watch", job, f"{space} {int(time.time() * 1000)}")
        if tell:
            self.redis.publish(f"decant:job:{job}", status)
        return job

    def delivery(self, job):
        """What Redis has of it, or None."""
        for id_ in self.redis.zrange("decant:webhooks:all", 0, -1):
            found = self.redis.hgetall(f"webhook:{id_}")
            if found.get("job") == job:
                return found
        return None

    def wait(self, job, state, attempts=None):
        """Until the delivery is in this state, after that many attempts."""
        def there():
            found = self.delivery(job)
            return found if found and found["state"] == state and (attempts is None or found["attempts"] == str(attempts)) else None

        return eventually(there, lambda: f"{self.delivery(job)}\n{self.log('decant-courier')[-2000:]}")

    def hurry(self, delivery):
        """Instead of waiting: it is due now."""
        self.redis.zadd("decant:webhooks:due", {delivery["id"]: 0}, xx=True)
        self.redis.publish("decant:webhooks", "due")


@pytest.fixture(scope="module")
def post():
    with parts_folder() as folder:
        folder.chmod(0o711)  # the courier of `decant serve` is another user
        post = Post(folder)
        try:
            yield post
        finally:
            post.receiver.held.set()
            post.receiver.server.shutdown()
            post.stop()


def shown(language):
    """What docs/webhooks.md has receivers do."""
    return re.search(rf"```{language}\n(.*?)```", DOCS, re.S)[1]


exec(shown("python"), verifier := {})


def verified(headers, body, secret=SECRET):
    return verifier["verify"](secret, headers, body)


@pytest.mark.skipif(not shutil.which("node"), reason="there is no node")
def test_the_other_language_of_the_docs_verifies_too(post):
    _, space = post.account()
    with post.courier():
        post.wait(post.ended(space, "/200?node"), "delivered")
    (headers, body), = post.receiver.of("/200?node")
    says = [(headers, body), (headers, body + b" "), ({**headers, "webhook-id": "another"}, body), ({**headers, "webhook-timestamp": "1000"}, body),
            ({**headers, "webhook-signature": "v1,AAAA " + headers["webhook-signature"]}, body)]
    cases = json.dumps([[headers, body.decode()] for headers, body in says])
    script = shown("js") + f"\nconsole.log(JSON.stringify({cases}.map(([h, b]) => verify({json.dumps(SECRET)}, h, Buffer.from(b)))));"
    said = subprocess.run(["node", "-e", script], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert json.loads(said.stdout) == [verified(*case) for case in says] == [True, False, False, False, True]


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_the_end_of_a_job_is_told_once_and_signed(post, status):
    _, space = post.account()
    with post.courier():
        job = post.ended(space, f"/{status}", status)
        delivery = post.wait(job, "delivered", 1)
        post.redis.publish(f"decant:job:{job}", status)  # told already
        other = post.ended(space, f"/{status}-missed", status, tell=False)  # the news is lost: the look at the start, and every half minute, finds it
    with post.courier():
        post.wait(other, "delivered")
    (headers, body), = post.receiver.of(f"/{status}")
    assert verified(headers, body) and not verified(headers, body + b" ") and headers["webhook-id"] == delivery["id"]
    assert headers["content-type"] == "application/json" and headers["user-agent"].startswith("Decant/")
    told = json.loads(body)
    assert (told["type"], told["timestamp"]) == (f"job.{status}", "2026-11-30T10:00:00.000Z")
    assert (told["data"]["job_id"], told["data"]["status"], told["data"]["original_filename"]) == (job, status, "Bericht.docx")
    assert "secret/path" not in body.decode() and space not in body.decode()
    assert (delivery["last_status"], delivery["last_error"], delivery["next_at"]) == ("200", "", "")
    assert 0 < post.redis.ttl(f"webhook:{delivery['id']}") <= 7 * 24 * 3600
    # A retry is another task, which is told again.
    with post.courier():
        post.redis.hset(f"session:{space}:jobs:{job}", "task_id", str(uuid.uuid4()))
        post.redis.publish(f"decant:job:{job}", status)
        eventually(lambda: len(post.receiver.of(f"/{status}")) == 2)
    assert post.receiver.of(f"/{status}")[1][0]["webhook-id"] != delivery["id"]


def test_what_fails_is_tried_again_whoever_dies(post):
    _, space = post.account()
    with post.courier() as courier:
        jobs = [post.ended(space, "/500,200"), post.ended(space, "/held")]
        first = post.wait(jobs[0], "waiting", 1)
        assert (first["last_status"], first["last_error"]) == ("500", "The answer is not one of success.")
        assert 4 < (int(first["next_at"]) - int(first["last_at"])) / 1000 < 7
        eventually(lambda: post.receiver.of("/held"))
        courier.kill()  # while one answer is outstanding, and before the next attempt of the other
        courier.wait()
        post.kill("redis")
        del post.processes["decant-courier"]
    post.start_redis()
    post.receiver.held.set()
    with post.courier():
        for job in jobs:
            post.hurry(post.delivery(job))
        again = post.wait(jobs[0], "delivered", 2)
        post.wait(jobs[1], "delivered", 1)
    for path in ("/500,200", "/held"):
        (a, body), (b, same) = post.receiver.of(path)
        assert a["webhook-id"] == b["webhook-id"] and body == same and verified(b, same)
    assert first["id"] == again["id"]


def test_some_answers_end_it_and_none_leads_elsewhere(post):
    _, space = post.account()
    with post.courier():
        gone, moved, long = (post.ended(space, path) for path in ("/410", "/302", "/200-long"))
        assert post.wait(gone, "dropped")["last_error"] == "The receiver wants no more of it."
        assert post.wait(moved, "waiting", 1)["last_error"] == "The answer is a redirection, and none is followed."
        assert post.wait(long, "delivered", 1)["last_status"] == "200"  # whatever else it says
        # The last attempt of a day.
        post.redis.hset(f"webhook:{post.delivery(moved)['id']}", "attempts", 10)
        post.hurry(post.delivery(moved))
        failed = post.wait(moved, "failed", 11)
    assert not post.receiver.of("/elsewhere") and post.redis.zscore("decant:webhooks:due", failed["id"]) is None


def test_private_addresses_are_refused_unless_they_are_allowed(post):
    """By an address and by a name that leads to one; and a certificate is for a name."""
    _, space = post.account()
    by_address, by_six = f"https://127.0.0.1:{post.receiver.port}/by-address", f"https://[::1]:{post.receiver.port}/by-six"
    with post.courier(DECANT_COURIER_NETWORKS="192.0.2.0/24"):
        jobs = [post.ended(space, "/by-name"), post.ended(space, "", url=by_address), post.ended(space, "", url=by_six)]
        for job in jobs:
            assert "private or special" in post.wait(job, "waiting", 1)["last_error"]
    with post.courier():
        for job in jobs:
            post.hurry(post.delivery(job))
        post.wait(jobs[0], "delivered", 2)
        assert "certificate" in post.wait(jobs[1], "waiting", 2)["last_error"]
        assert post.wait(jobs[2], "waiting", 2)["last_error"] == "No connection could be made."  # nobody listens there
    assert not post.receiver.of("/by-address")


def test_an_authority_that_is_not_believed(post):
    _, space = post.account()
    with post.courier(DECANT_CA_FILE="/etc/ssl/certs/ca-certificates.crt"):
        job = post.ended(space, "/believed")
        assert "certificate" in post.wait(job, "waiting", 1)["last_error"]
    assert not post.receiver.of("/believed")


def test_what_the_account_may_no_longer_is_dropped(post):
    for fields, why in (({"webhook_hosts": "example.com"}, "any more"), ({"disabled": "2026-11-30T10:00:00Z"}, "disabled"), ({"webhook_secret": ""}, "no secret")):
        _, space = post.account(**fields)
        with post.courier():
            assert why in post.wait(post.ended(space, "/dropped"), "dropped")["last_error"]
    assert not post.receiver.of("/dropped")


def test_two_couriers_share_the_work(post):
    """Each delivery is one's: none comes twice. An account that has many doesn't hold up another."""
    _, space = post.account()
    _, other = post.account()
    with post.courier(), post.courier("another"):
        jobs = [post.ended(space, f"/many?{i}") for i in range(60)] + [post.ended(other, "/many?other")]
        for job in jobs:
            post.wait(job, "delivered", 1)
    assert all(len(post.receiver.of(f"/many?{i}")) == 1 for i in [*range(60), "other"])


def test_what_nobody_waits_for_is_forgotten(post):
    """Jobs that are gone, and those of which all was told, go off the watch."""
    _, space = post.account()
    job = post.ended(space, "/forgotten", tell=False)
    post.redis.delete(f"session:{space}:jobs:{job}")
    post.redis.hset("decant:webhooks:watch", str(uuid.uuid4()), "not an entry of ours")
    before = post.ended(space, "/200", tell=False)
    with post.courier():
        post.wait(before, "delivered")
        eventually(lambda: not post.redis.hexists("decant:webhooks:watch", job))
        assert post.redis.hexists("decant:webhooks:watch", before)  # it may be tried again this minute
        post.redis.hset("decant:webhooks:watch", before, f"{space} 1000")
        post.redis.publish(f"decant:job:{before}", "completed")
        eventually(lambda: not post.redis.hexists("decant:webhooks:watch", before))


def decant(post, command, *words, status=0):
    said = subprocess.run([BIN / "decant", command, "--redis", f"tcp:127.0.0.1:{post.redis_port}", *words], env={"PATH": "/usr/bin:/bin", **sanitizers()}, capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    assert said.returncode == status, (said.stdout, said.stderr)
    return said


def test_operators_say_where_they_may_go_and_send_them_again(post):
    decant(post, "user", "add", "Alice", "--no-password")
    hosts, _, secret = decant(post, "webhook", "allow", "alice", "Hooks.example.org", NAME).stdout.partition("secret: ")
    assert hosts == f"Alice: hooks.example.org {NAME}\n" and decant(post, "webhook", "secret", "alice").stdout == secret
    assert decant(post, "webhook", "allow", "alice", NAME).stdout == f"Alice: hooks.example.org {NAME}\n"  # no secret is told, none is made
    assert decant(post, "webhook", "deny", "alice", "hooks.example.org").stdout == f"Alice: {NAME}\n"
    assert "a host is a name" in decant(post, "webhook", "allow", "alice", f"https://{NAME}", status=1).stderr
    assert "more hosts" in decant(post, "webhook", "allow", "alice", *(f"{i}.{'a' * 60}.example" for i in range(20)), status=1).stderr
    decant(post, "webhook", "allow", "bob", NAME, status=1)
    decant(post, "webhook", "allow", "alice", status=2)
    alice, space = post.redis.hget("account_names", "alice"), secrets.token_hex(32)
    post.redis.hset(f"session:{space}", "account", alice)
    with post.courier():
        job = post.ended(space, "/500,200?alice")
        post.redis.hset(f"webhook:{post.wait(job, 'waiting', 1)['id']}", "attempts", 10)
        post.redis.hset(f"webhook:{post.delivery(job)['id']}", "state", "failed")
        (row,) = json.loads(decant(post, "webhook", "list", "--user", "alice", "--failed", "--json").stdout)
        assert (row["job"], row["account"], row["state"], row["last_status"]) == (job, alice, "failed", 500)
        table = decant(post, "webhook", "list", "--user", "alice")
        assert row["id"] in table.stdout and "The answer is not one of success." in table.stdout
        eventually(lambda: decant(post, "webhook", "list").stderr == "")  # a courier runs
        assert json.loads(decant(post, "webhook", "show", row["id"]).stdout)["body"]["data"]["job_id"] == job
        another = decant(post, "webhook", "secret", "alice", "--new").stdout
        assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=\n", another) and another != secret
        assert f"{row['id']} replayed" in decant(post, "webhook", "replay", row["id"]).stdout
        post.wait(job, "delivered", 1)
    (_, _), (headers, body) = post.receiver.of("/500,200?alice")
    assert headers["webhook-id"] == row["id"] and verified(headers, body, another.strip()) and not verified(headers, body, secret.strip())
    post.redis.delete("decant:courier:webhooks")
    assert "no courier runs" in decant(post, "webhook", "replay", "--failed").stderr
    assert "no such webhook" in decant(post, "webhook", "replay", str(uuid.uuid4()), status=1).stderr


def test_beside_the_other_parts(post, own_server):
    """Of `decant serve`, by an account: what a job comes to, its retry, and one call."""
    server = own_server("image", **{name: value for name, value in post.environment.items() if name.startswith(("DECANT_COURIER_N", "DECANT_COURIER_P", "DECANT_CA"))},
                        DECANT_WEBHOOKS="on")

    courier, = server.children("decant-courier")
    status = Path(f"/proc/{courier}/status").read_text()
    assert re.search(r"^Seccomp:\t2$", status, re.M) and re.search(r"^CapEff:\t0+$", status, re.M)
    if os.geteuid() == 0:
        assert {pwd.getpwuid(int(uid)).pw_name for uid in re.search(r"^Uid:\t(.*)$", status, re.M)[1].split()} == {"decant-courier"}
    url, stranger = post.receiver.url + "/beside", new_client(server)
    request = {"job_id": stranger.upload("a.png", png()).json()["job_id"], "target_format": "jpg", "callback_url": url}
    assert "of an account" in problem(stranger.request("POST", "/convert", json=request), 403, "callback_refused")["detail"]
    accounts.add_account(server, "alice", "premium")
    client = accounts.add_key(server, "alice")
    secret = accounts.decant(server, "webhook", "allow", "alice", NAME).partition("secret: ")[2].strip()
    with still(server.children("decant-worker")[0]):
        job = client.upload("a.png", png()).json()["job_id"]
        assert client.request("POST", "/convert", json={**request, "job_id": job}).status_code == 202
        assert client.request("POST", "/cancel", json={"job_id": job}).json()["status"] == "cancelled"
        eventually(lambda: post.receiver.of("/beside"), server.log)
    assert client.request("POST", "/retry", json={"job_id": job}).status_code == 202
    told = client.wait(job)
    eventually(lambda: len(post.receiver.of("/beside")) == 2, server.log)
    got = [(verified(headers, body, secret), json.loads(body)) for headers, body in post.receiver.of("/beside")]
    assert [(good, body["type"]) for good, body in got] == [(True, "job.cancelled"), (True, "job.completed")]
    assert got[1][1]["data"] == told and got[1][1]["timestamp"] == told["completed_at"]
    eventually(lambda: 'decant_webhook_attempts_total{delivery="delivered"} 2' in client.request("GET", "/metrics").text)

    def jobs_told_of():
        return {row["job"] for row in json.loads(accounts.decant(server, "webhook", "list", "--json"))}

    assert jobs_told_of() == {job}
    assert client.request("POST", "/delete", json={"job_id": job}).status_code == 200
    assert jobs_told_of() == set()

    def one_call(url, prefer):
        return client.request("POST", "/v1/convert", files={"file": ("a.png", png())}, data={"to": "jpg", "callback_url": url}, headers={"Prefer": prefer})

    problem(one_call(post.receiver.url + "/v1", "wait=20"), 400, "bad_request")
    problem(one_call("https://elsewhere.example/v1", "respond-async"), 403, "callback_refused")
    answer = one_call(post.receiver.url + "/v1", "respond-async")
    assert answer.status_code == 202, answer.text
    told = client.wait(answer.json()["job_id"])
    (headers, body), = eventually(lambda: post.receiver.of("/v1"), server.log)
    assert verified(headers, body, secret) and json.loads(body)["data"] == told and told["status"] == "completed"
    assert len(client.request("GET", f"/v1/jobs/{told['job_id']}/result").content) > 100
    eventually(lambda: jobs_told_of() == {told["job_id"]})
    assert client.request("DELETE", "/history").json() == {"deleted": 1, "left": 0} and jobs_told_of() == set()

    # A courier that has gone is told, and keeps no file from being converted.
    eventually(lambda: client.request("GET", "/readyz").json()["courier"] == {"ok": True}, server.log)
    with still(courier):
        server.redis().delete("decant:courier:webhooks")  # as after 15 seconds
        answer = client.request("GET", "/readyz")
        assert answer.status_code == 200 and answer.json()["ready"] and not answer.json()["courier"]["ok"] and "sends webhooks" in answer.json()["courier"]["detail"]
        assert 'decant_part_ok{part="courier"} 0' in client.request("GET", "/metrics").text
        client.result("a.png", png(), "jpg")


def test_without_anything_to_do_it_says_so(tmp_path):
    said = subprocess.run([BIN / "decant-courier"], env={"PATH": "/usr/bin:/bin", **sanitizers()}, capture_output=True, text=True, timeout=PATIENCE)
    assert said.returncode == 78 and "DECANT_WEBHOOKS is off" in said.stderr
