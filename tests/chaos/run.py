#!/usr/bin/python3
"""Chaos: kill -9 of any process at any moment, over and over, while clients convert; then everything has to be as it was promised.

    tests/chaos/run.py [--kills 200] [--seed TEXT] [--layout apart|served|both] [--engines "image pdf office"] [--json FILE]

Victims are APIs, workers, what starts their engines, engines, the child of a conversion, Redis (with its append-only file), clamd, nginx, its
workers, and `decant serve`. Fails (exit status 1) when a conversion that was accepted (202) does not end, ends twice, or fails without
a reason; when a result can't be had or is another one; when a file, a key without an expiry, a claim or a process is left. DECANT_BUILD names
another build. Everything lies in memory (/dev/shm): Redis puts off writes for up to two seconds while a slow disk syncs, and what it loses
then when it is killed is no fault that this test looks for."""

import argparse
import collections
import json
import random
import secrets
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "system"))

import redis  # noqa: E402
from clients import ENDED, Customer, Ledger, Observer  # noqa: E402
from installation import LAYOUTS, adopt_orphans, descendants, victims  # noqa: E402
from parts import parts_folder  # noqa: E402
from server import eventually  # noqa: E402

CUSTOMERS = 6
BREATH = 10  # kills between two looks whether anything still ends
BREATH_MAX_S = 600
WEIGHTS = {"api": 3, "worker": 3, "launcher": 1, "engine": 2, "conversion": 3, "redis": 3, "clamd": 1, "nginx": 1, "nginx worker": 2, "supervisor": 1}


class Chaos:
    def __init__(self, site, seed, engines):
        self.site, self.seed = site, seed
        self.rng, self.ledger, self.kills = random.Random(f"{seed} kills"), Ledger(), []
        self.customers = [Customer(site.url, self.ledger, engines, f"{seed} customer {n}") for n in range(CUSTOMERS)]

    # --- kills

    def kill_one(self):
        time.sleep(min(4, self.rng.expovariate(1.0)))
        kind = self.rng.choices(list(WEIGHTS), WEIGHTS.values())[0]
        place, deadline = self.rng.random(), time.monotonic() + 2
        while not (found := victims().get(kind)):
            if time.monotonic() > deadline:
                return  # there is none: another draw
            time.sleep(0.01)
        pid = found[int(place * len(found))]
        if self.site.kill(pid):
            self.kills.append((time.time(), kind, pid))

    def breathe(self, more=3):
        """The service comes back by itself between the blows."""
        before, began = self.ledger.ended(), time.monotonic()
        eventually(lambda: self.ledger.ended() >= before + more or not any(c.is_alive() for c in self.customers),
                   lambda: f"no conversion ends any more, after {len(self.kills)} kills, the last {self.kills[-3:]}", BREATH_MAX_S, every=0.2)
        return time.monotonic() - began

    def storm(self, kills):
        for customer in self.customers:
            customer.start()
        while len(self.kills) < kills:
            before = len(self.kills)
            self.kill_one()
            if len(self.kills) > before and len(self.kills) % BREATH == 0:
                took = self.breathe()
                print(f"  {len(self.kills)} kills, {len(self.ledger.jobs)} jobs, {self.ledger.ended()} ended, {took:.0f} s to breathe", flush=True)

    def calm(self):
        for customer in self.customers:
            customer.stopped.set()
        for customer in self.customers:
            customer.join()
        self.site.wait_ready()

    # --- what has to be true then

    def expect_soon(self, condition, what, timeout=180):
        """`condition()`: what is wrong; nothing, in the end."""
        last = None

        def right():
            nonlocal last
            try:
                last = condition()
            except redis.RedisError as error:
                last = error
            return not last

        try:
            eventually(right, timeout=timeout, every=0.5)
        except AssertionError:
            self.ledger.expect(False, f"{what}: {last}")

    def judge_jobs(self):
        observer, last = Observer(self.ledger), self.customers[0]
        for job_id, job in self.ledger.jobs.items():
            if not self.ledger.expect(job.end, f"{job_id} has no end"):
                continue
            self.ledger.expect(job.end["status"] in ENDED and (job.end["status"] == "completed") == (job.end["error_code"] is None), f"no reason: {job.end}")
            if not job.client:
                continue  # its session is closed
            answer, _ = last.insist(lambda: job.client.status(job_id), (200,), "status")
            observer.see(answer.json())
            if job.end["status"] == "completed":
                last.download(job.client, job_id, job.end, job.magic)

    def queue_left(self):
        """What is in the queue, or claimed, when nothing is to be done."""
        r = self.site.redis()
        left = [f"{key} ({r.llen(key)})" for key in r.scan_iter("decant*", _type="list") if key != "decant:dead"]
        left += [f"{key} ({size})" for key, size in (("unacked", r.hlen("unacked")), ("unacked_index", r.zcard("unacked_index")),
                                                     ("decant:delayed", r.zcard("decant:delayed"))) if size]
        return left + [f"{key} {claims}" for key in r.scan_iter("decant:claims:*") if (claims := set(r.hkeys(key)) - {"owner"})]

    def for_ever(self):
        """Keys that do not expire. Those of docs/queue.md that need not are only there while something is in the queue."""
        r = self.site.redis()
        return [key for key in r.scan_iter("*", count=1000) if r.ttl(key) == -1]

    def unfinished(self):
        r = self.site.redis()
        return [(key, status) for key in r.scan_iter("session:*:jobs:*", _type="hash", count=1000) if (status := r.hget(key, "status")) not in (*ENDED, "uploaded")]

    def judge_dead_letters(self):
        """Each is of a job that its client was told to have failed."""
        r = self.site.redis()
        for text in r.lrange("decant:dead", 0, -1):
            letter = json.loads(text)
            told = [job_id for job_id, job in self.ledger.jobs.items() if job.end and job.end["status"] == "failed" and job.end["task_id"]
                    and job.end["task_id"] in letter["message"]]
            self.ledger.expect(told, f"a dead letter of nobody: {letter['reason']}")
            self.ledger.count(f"dead letters: {letter['reason']}")

    def files(self):
        root = self.site.storage
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() or path.is_symlink()}

    def strangers(self):
        """Files that no job calls its own, and folders of attempts."""
        r = self.site.redis()
        owned = set()
        for key in r.scan_iter("session:*:jobs:*", _type="hash", count=1000):
            owned |= set(filter(None, r.hmget(key, "stored_path", "converted_path")))
        work = [str(path.relative_to(self.site.storage)) for path in self.site.storage.rglob("work-*")]
        return sorted(self.files() - owned) + work

    def judge_processes(self):
        self.expect_soon(lambda: [str(p) for p in descendants() if p.state == "Z"], "zombies")
        self.expect_soon(lambda: [str(p) for p in self.site.orphans()], "processes that nobody keeps")

    def close_all(self):
        for client in filter(None, list(self.ledger.sessions.values())):
            self.customers[0].close(client)

    def sessions_left(self):
        """But those of which nobody was told: their answer was lost, and they expire."""
        r = self.site.redis()
        return [key for pattern in ("session:*", "download_token:*") for key in r.scan_iter(pattern, count=1000)
                if pattern[0] == "d" or key.split(":")[1] in self.ledger.sessions]

    def judge(self, settled):
        """`settled`: seconds until the janitor may take for lost what an API that died has left."""
        self.judge_jobs()
        self.expect_soon(self.queue_left, "left in the queue")
        self.expect_soon(self.for_ever, "keys that never expire")
        self.expect_soon(self.unfinished, "jobs that have not ended")
        self.judge_dead_letters()
        self.judge_processes()
        if settled:
            time.sleep(settled)
            self.site.renew_workers()
            self.expect_soon(self.strangers, "files of nobody")
        self.close_all()
        self.expect_soon(lambda: sorted(self.files()), "files that are left")
        self.expect_soon(self.sessions_left, "keys of sessions that are left")


def one(layout, arguments, kills):
    with parts_folder(arguments.folder) as folder:
        site = LAYOUTS[layout](folder, arguments.engines)
        chaos, began = Chaos(site, f"{arguments.seed} {layout}", arguments.engines), time.monotonic()
        try:
            site.begin()
            chaos.storm(kills)
            chaos.calm()
            chaos.judge(arguments.settled)
        except AssertionError as error:
            chaos.ledger.expect(False, str(error))
        finally:
            for customer in chaos.customers:
                customer.stopped.set()
            chaos.ledger.wrong += site.stop()
        if chaos.ledger.wrong and arguments.logs:
            keep_logs(folder, arguments.logs / layout)
    return chaos, time.monotonic() - began


def keep_logs(folder, place):
    place.mkdir(parents=True, exist_ok=True)
    for path in [*folder.glob("*.log"), *folder.glob("var/log/*")]:
        (place / path.name).write_bytes(path.read_bytes())


def report(layout, chaos, took):
    victims_hit = collections.Counter(kind for _, kind, _ in chaos.kills)
    print(f"\n{layout}: {len(chaos.kills)} kills in {took:.0f} s, {len(chaos.ledger.jobs)} conversions accepted")
    print("\n".join(f"{n:>9}  {what}" for what, n in [*victims_hit.most_common(), *sorted(chaos.ledger.counts.items())]))
    print("\n".join(chaos.ledger.wrong[:40]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("--layout", choices=[*LAYOUTS, "both"], default="both")
    parser.add_argument("--engines", default="image pdf office")
    parser.add_argument("--settled", type=int, default=65, help="seconds to wait for what the janitor removes only then; 0: don't look for that")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm") if Path("/dev/shm").is_dir() else None, help="where everything is kept")
    parser.add_argument("--logs", type=Path, help="where the logs go when something is wrong")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    layouts = list(LAYOUTS) if arguments.layout == "both" else [arguments.layout]
    adopt_orphans()
    print(f"{arguments.kills} kills, seed {arguments.seed}", flush=True)
    runs = {layout: one(layout, arguments, -(-arguments.kills // len(layouts))) for layout in layouts}
    for layout, (chaos, took) in runs.items():
        report(layout, chaos, took)
    wrong = sum(len(chaos.ledger.wrong) for chaos, _ in runs.values())
    print(f"{wrong} wrong" + (f"; again: tests/chaos/run.py --kills {arguments.kills} --seed {arguments.seed} --layout {arguments.layout} "
                              f"--engines '{arguments.engines}'" if wrong else ""))
    if arguments.json:
        arguments.json.write_text(json.dumps({layout: {"kills": chaos.kills, "counts": chaos.ledger.counts, "wrong": chaos.ledger.wrong, "seconds": took,
                                                       "ends": {job_id: job.end for job_id, job in chaos.ledger.jobs.items()}}
                                              for layout, (chaos, took) in runs.items()}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
