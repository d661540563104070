"""A master, two replicas and three sentinels, all real: the master dies under load, and the service comes back by itself."""

import contextlib
import signal
import threading

import pytest
import redis

from client import Client
from fixtures import png, slow_pdf
from parts import Parts, parts_folder, write_secret
from server import BIN, PATIENCE, eventually, free_port

MASTER = "decant-test"
PASSWORD, SENTINEL_PASSWORD = "open-sesame-81a2", "who-is-it-5d90"
CLIENTS, WORKERS = 4, 2
TRIED_AGAIN = (429, 503)  # what a client tries again

REDIS = """
port {port}
bind 127.0.0.1
dir {folder}
save ""
appendonly yes
maxmemory-policy noeviction
requirepass {password}
masterauth {password}
min-replicas-to-write 1
min-replicas-max-lag 10
repl-diskless-sync-delay 0
"""

SENTINEL = """
port {port}
bind 127.0.0.1
dir {folder}
requirepass {sentinel_password}
sentinel monitor {master} 127.0.0.1 {master_port} 2
sentinel auth-pass {master} {password}
sentinel down-after-milliseconds {master} 3000
sentinel failover-timeout {master} 10000
sentinel sentinel-pass {sentinel_password}
"""


class Cluster(Parts):
    """redis0 is the first master."""

    def __init__(self, folder):
        self.redis_ports = [free_port() for _ in range(3)]
        self.sentinel_ports = [free_port() for _ in range(3)]
        super().__init__(folder, DECANT_ENGINES="image pdf", DECANT_JOBS="2", DECANT_REDIS=";".join(f"sentinel://127.0.0.1:{port}" for port in self.sentinel_ports) + "/0",
                         DECANT_REDIS_MASTER=MASTER, DECANT_REDIS_PORTS=",".join(map(str, self.redis_ports)),
                         DECANT_REDIS_PASSWORD_FILE=str(write_secret(folder, PASSWORD, 0o400)),
                         DECANT_SENTINEL_PASSWORD_FILE=str(write_secret(folder, SENTINEL_PASSWORD, 0o400, "sentinel-password")))

    def configure(self, name, text, more=""):
        """A file of its own for each: Redis and sentinels write into theirs."""
        place = self.folder / name
        place.mkdir()
        (place / "conf").write_text(text.format(folder=place, password=PASSWORD, sentinel_password=SENTINEL_PASSWORD, master=MASTER,
                                                master_port=self.redis_ports[0], **more))

    def start_redis(self, number):
        self.start(f"redis{number}", "redis-server", self.folder / f"redis{number}" / "conf")

    def start_all(self):
        for number, port in enumerate(self.redis_ports):
            self.configure(f"redis{number}", REDIS + ("" if number == 0 else f"replicaof 127.0.0.1 {self.redis_ports[0]}\n"), {"port": port})
            self.start_redis(number)
        eventually(lambda: len(self.replicas()) == 2, self.all_logs)
        for number, port in enumerate(self.sentinel_ports):
            self.configure(f"sentinel{number}", SENTINEL, {"port": port})
            self.start(f"sentinel{number}", "redis-server", self.folder / f"sentinel{number}" / "conf", "--sentinel")
        eventually(self.sentinels_agree, self.all_logs)
        for number in range(WORKERS):
            self.start(f"worker{number}", BIN / "decant-worker", DECANT_WORKER_NAME=f"worker{number}")
        self.start("decant-api")

    def stop(self):
        """A replica that has just been given everything ignores SIGTERM, so of Redis nothing is asked."""
        redis_own = [name for name in self.processes if name.startswith(("redis", "sentinel"))]
        try:
            self.end([name for name in self.processes if name not in redis_own])
        finally:
            for name in redis_own:
                self.kill(name)

    def results(self, client, job_id):
        """Names of the files that lie there."""
        return [path.name for path in (self.folder / "storage" / client.session_id / job_id / "converted").iterdir()]

    def all_logs(self):
        return "".join(f"--- {name}\n{self.log(name)[-1500:]}" for name in self.processes)

    def redis(self, number):
        return redis.Redis(port=self.redis_ports[number], password=PASSWORD, decode_responses=True, socket_timeout=PATIENCE)

    def sentinel(self, number):
        return redis.Redis(port=self.sentinel_ports[number], password=SENTINEL_PASSWORD, decode_responses=True, socket_timeout=PATIENCE)

    def role(self, number):
        with contextlib.suppress(redis.RedisError):
            return self.redis(number).execute_command("ROLE")
        return [None]

    def replicas(self):
        """Those of redis0 that follow it."""
        return [n for n in (1, 2) if self.role(n)[0] == "slave" and self.role(n)[3] == "connected"]

    def sentinels_agree(self):
        """Each knows the replicas and the other two."""
        with contextlib.suppress(redis.RedisError):
            return all(m["num-slaves"] == 2 and m["num-other-sentinels"] == 2 for m in (self.sentinel(n).sentinel_master(MASTER) for n in range(3)))

    def master(self):
        """Its number, as most sentinels say."""
        said = []
        for number in range(3):
            with contextlib.suppress(redis.RedisError):
                said.append(self.redis_ports.index(self.sentinel(number).sentinel_get_master_addr_by_name(MASTER)[1]))
        return next((n for n in said if said.count(n) >= 2), None)

    def new_master(self, old):
        def changed():
            number = self.master()
            return number is not None and number != old and self.role(number)[0] == "master" and (number,)

        return eventually(changed, self.all_logs)[0]


@pytest.fixture
def cluster():
    with parts_folder() as folder:
        cluster = Cluster(folder)
        try:
            cluster.start_all()
            cluster.wait_ready()
            yield cluster
        finally:
            cluster.stop()


class Load(threading.Thread):
    """A client that goes on converting, and tries again what it is told to. `accepted`: the jobs whose POST /convert was answered by 202."""

    def __init__(self, url):
        super().__init__()
        self.url, self.stopped, self.error = url, threading.Event(), None
        self.client, self.accepted, self.refused = Client(url), [], 0

    def insist(self, call, wanted):
        """Until it is taken; the answer, or None when there is no time left."""
        while not self.stopped.is_set():
            answer = call()
            if answer.status_code == wanted:
                return answer
            assert answer.status_code in TRIED_AGAIN, (answer.status_code, answer.text)
            assert answer.status_code == 429 or answer.json()["code"] == "unavailable", answer.text
            assert int(answer.headers["Retry-After"]) >= 1
            self.refused += 1
            self.stopped.wait(0.2)

    def convert(self, job_id, target):
        """As insist(); one that was taken with no answer left to give, as the connection to Redis broke, is `queued` already."""
        while not self.stopped.is_set():
            answer = self.client.convert(job_id, target)
            if answer.status_code == 409:
                assert self.refused > 0, answer.text
                return True
            if answer.status_code == 202:
                return True
            assert answer.status_code in TRIED_AGAIN, (answer.status_code, answer.text)
            self.refused += 1
            self.stopped.wait(0.2)

    def one(self, number):
        slow = number % 4 == 3
        answer = self.insist(lambda: self.client.upload("a.pdf" if slow else "a.png", slow_pdf(60) if slow else png()), 201)
        if answer and self.convert(answer.json()["job_id"], "png" if slow else "jpg"):
            self.accepted.append(answer.json()["job_id"])

    def run(self):
        try:
            self.client.init()
            while not self.stopped.is_set():
                self.one(len(self.accepted))
                self.stopped.wait(0.1)
        except Exception as error:  # told by the test
            self.error = error

    def end(self):
        self.stopped.set()
        self.join()
        if self.error:
            raise self.error


@contextlib.contextmanager
def load(cluster):
    clients = [Load(cluster.url) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.stopped.set()
        for client in clients:
            client.end()


def wait_for_more(cluster, clients, more=3):
    """Each of them gets that many more jobs accepted."""
    before = [len(client.accepted) for client in clients]
    eventually(lambda: any(c.error for c in clients) or all(len(c.accepted) >= n + more for c, n in zip(clients, before)), cluster.all_logs)


def check_all(cluster, clients):
    """Each job that was accepted has completed, once, and nothing is left over."""
    for client in clients:
        for job_id in client.accepted:
            job = client.client.wait(job_id)
            assert job["status"] == "completed", job
            folder = cluster.folder / "storage" / client.client.session_id / job_id
            eventually(lambda: len(cluster.results(client.client, job_id)) == 1 and not list(folder.glob("work-*")), lambda: str(list(folder.rglob("*"))))
        answer = client.client.download(client.client.token(client.accepted[-1]).json()["url"])
        assert answer.status_code == 200 and answer.content
    master = cluster.redis(cluster.master())
    eventually(lambda: master.llen("decant") == 0 and master.hlen("unacked") == 0 and master.zcard("unacked_index") == 0)
    assert master.llen("decant:dead") == 0


@pytest.mark.parametrize("fate", ["killed", "stopped"])
def test_the_master_is_gone_under_load(cluster, fate):
    """Killed, it takes no more connections; stopped, it takes them and answers nothing, as a machine that hangs."""
    with load(cluster) as clients:
        wait_for_more(cluster, clients)
        old = cluster.master()
        if fate == "killed":
            cluster.kill(f"redis{old}")
        else:
            cluster.processes[f"redis{old}"].send_signal(signal.SIGSTOP)
        new = cluster.new_master(old)
        wait_for_more(cluster, clients)
    assert any(client.refused for client in clients), "nobody noticed: it was no failover under load"
    cluster.wait_ready()
    check_all(cluster, clients)
    for name in ("decant-api", "worker0", "worker1"):
        eventually(lambda: cluster.log(name).rindex("Redis answers") > cluster.log(name).rindex("Redis can't be reached"), lambda: cluster.log(name)[-2000:])
        assert PASSWORD not in cluster.log(name) and SENTINEL_PASSWORD not in cluster.log(name)

    if fate == "killed":
        cluster.start_redis(old)
    else:
        cluster.processes[f"redis{old}"].send_signal(signal.SIGCONT)
    # It comes back as a master, and the sentinels put it right.
    eventually(lambda: cluster.role(old)[0] == "slave" and cluster.role(old)[2] == cluster.redis_ports[new] and cluster.role(old)[3] == "connected", cluster.all_logs)
    client = Client(cluster.url)
    client.init()
    assert client.result("a.png", png(), "jpg")[0]["status"] == "completed"
    assert cluster.redis(new).exists(f"session:{client.session_id}")
    eventually(lambda: cluster.redis(old).exists(f"session:{client.session_id}"), cluster.all_logs)


def test_a_failover_that_was_ordered(cluster):
    """Nothing has died but a sentinel: the old master goes on answering, as a master for some seconds yet, and has to be left."""
    client = Client(cluster.url)
    client.init()
    client.result("a.png", png(), "jpg")
    old = cluster.master()
    cluster.kill("sentinel0")  # the first that Decant knows
    cluster.sentinel(1).execute_command("SENTINEL", "FAILOVER", MASTER)
    new = cluster.new_master(old)

    def arrives():
        session = Client(cluster.url)
        with contextlib.suppress(AssertionError):  # not while it changes over
            session.init()
            return cluster.redis(new).exists(f"session:{session.session_id}") and (session,)

    session = eventually(arrives, cluster.all_logs)[0]
    cluster.wait_ready()
    assert session.result("a.png", png(), "jpg")[0]["status"] == "completed"
    assert client.result("a.png", png(), "jpg")[0]["status"] == "completed", "who was there before is there still"


def cut_off_the_replicas(cluster, master):
    """What the master takes from now on, it alone has."""
    others = [n for n in range(3) if n != master]
    cluster.redis(master).config_set("min-replicas-to-write", 0)
    for number in others:
        cluster.redis(number).config_set("masterauth", "wrong")
        cluster.redis(number).execute_command("CLIENT", "KILL", "TYPE", "master")
    eventually(lambda: cluster.redis(master).info("replication")["connected_slaves"] == 0, cluster.all_logs)
    return others


def test_what_a_failover_can_lose(cluster):
    """The master dies with the last writes: what docs/queue.md says comes of each."""
    client = Client(cluster.url)
    client.init()
    asked = client.upload("a.png", png()).json()["job_id"]
    ended = client.start("a.pdf", slow_pdf(250), "png")
    eventually(lambda: client.status(ended).json()["status"] == "processing")
    master = cluster.master()
    others = cut_off_the_replicas(cluster, master)
    assert client.status(ended).json()["status"] == "processing", "too fast: its end was not lost"
    uploaded = client.upload("b.png", png()).json()["job_id"]
    assert client.convert(asked, "jpg").status_code == 202
    assert client.wait(asked)["status"] == client.wait(ended)["status"] == "completed"
    first = cluster.results(client, ended)
    cluster.kill(f"redis{master}")
    for number in others:
        cluster.redis(number).config_set("masterauth", PASSWORD)
    cluster.new_master(master)
    cluster.wait_ready()

    assert client.status(uploaded).status_code == 404
    assert client.status(asked).json()["status"] == "uploaded"
    assert client.convert(asked, "jpg").status_code == 202
    for job_id in (asked, ended):
        assert client.wait(job_id)["status"] == "completed"
        assert client.download(client.token(job_id).json()["url"]).status_code == 200
    assert cluster.results(client, ended) != first and len(cluster.results(client, ended)) == 1, "it was converted once more"
    redis_now = cluster.redis(cluster.master())
    eventually(lambda: redis_now.llen("decant") == 0 and redis_now.hlen("unacked") == 0, cluster.all_logs)
    assert client.close().status_code in (200, 204)
    eventually(lambda: not (cluster.folder / "storage" / client.session_id).exists())
