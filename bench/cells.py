"""One cell of a measure: N clients convert as fast as they can for a while."""

import itertools
import threading
import time


class Cell:
    """Clients take the sources in turn until `seconds` are over and each source had its turn as often as the others.
    The rate is the sum of the clients' own rates, each up to its last result: a client that waits for the others at the
    end doesn't count as idle, which would be hard on contestants with few and long conversions."""

    def __init__(self, contestant, jobs, n_clients, seconds, min_jobs=0):
        self.contestant, self.jobs, self.n_clients, self.seconds = contestant, jobs, n_clients, seconds
        self.min_jobs = max(min_jobs, len(jobs))
        self.latencies, self.failures, self.rate = [], [], 0.0
        self.lock = threading.Lock()
        self.taken = 0
        self.turn = itertools.cycle(jobs)

    def take(self, started):
        with self.lock:
            enough = self.taken >= self.min_jobs and self.taken % len(self.jobs) == 0
            if self.failures or (enough and time.perf_counter() - started >= self.seconds):
                return None
            self.taken += 1
            return next(self.turn)

    def client(self, index, gate):
        client = self.contestant.client(index)
        done, last = 0, None
        try:
            client.ready()
            gate.wait()
            started = time.perf_counter()
            while (job := self.take(started)) is not None:
                client.ready()
                before = time.perf_counter()
                client.convert(*job)
                last = time.perf_counter()
                done += 1
                self.latencies.append(last - before)
            if done:
                with self.lock:
                    self.rate += done / (last - started)
        except Exception as error:
            self.failures.append(error)
            gate.abort()
        finally:
            try:
                client.leave()
            except Exception as error:
                self.failures.append(error)

    def run(self):
        gate = threading.Barrier(self.n_clients)
        threads = [threading.Thread(target=self.client, args=(i, gate)) for i in range(self.n_clients)]
        cpu = self.contestant.cpu_seconds()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failures:
            raise next((f for f in self.failures if not isinstance(f, threading.BrokenBarrierError)), self.failures[0])
        self.cpu_each = (self.contestant.cpu_seconds() - cpu) / len(self.latencies)
        return self
