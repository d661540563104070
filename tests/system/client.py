"""A small client of the HTTP API, written against the contract and not against the server's code."""

import json
import time

import requests


def options_of(catalogue, source, target):
    """{name: option} of a pair in the answer of GET /formats."""
    told = [catalogue["options"][id] for id in catalogue["formats"][source]["options"].get(target, [])]
    return {option["name"]: option for option in told}


class Client:
    """One session with the server; `session_id` and `csrf` are set by init(). Or an account, by its bearer."""

    def __init__(self, url, bearer=None):
        self.url = url
        self.bearer = bearer
        self.http = requests.Session()
        self.session_id = self.csrf = None

    def headers(self, csrf=True):
        headers = {"Authorization": f"Bearer {self.bearer}"} if self.bearer else {}
        if self.session_id:
            headers["Cookie"] = f"session_id={self.session_id}"
        if csrf and self.csrf:
            headers["X-CSRF-Token"] = self.csrf
        return headers

    def request(self, method, path, csrf=True, headers=None, **kwargs):
        self.http.cookies.clear()  # the cookie is Secure: requests would hold it back over http
        return self.http.request(method, self.url + path, headers={**self.headers(csrf), **(headers or {})}, timeout=120, **kwargs)

    def init(self):
        answer = self.request("GET", "/session/init")
        assert answer.status_code == 200, answer.text
        return self.enter(answer)

    def enter(self, answer):
        """From now on as the session that this answer tells of."""
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("session_id=")
        self.session_id = cookie.split(";")[0].split("=")[1]
        self.csrf = answer.json()["csrf_token"]
        return answer

    def upload(self, name, data):
        return self.request("POST", "/upload", files={"file": (name, data)})

    def convert(self, job_id, target, **options):
        body = {"job_id": job_id, "target_format": target}
        if options:
            body["options"] = options
        return self.request("POST", "/convert", json=body)

    def status(self, job_id, wait=None):
        return self.request("GET", f"/job_status?job_id={job_id}" + (f"&wait={wait}" if wait else ""))

    def wait(self, job_id, timeout=300):
        """The job's last state; fails when it does not end in time."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            answer = self.status(job_id, wait=5)
            assert answer.status_code == 200, answer.text
            job = answer.json()
            if job["status"] in ("completed", "failed", "cancelled"):
                return job
        raise AssertionError(f"job did not end: {json.dumps(job)}")

    def token(self, job_id):
        return self.request("POST", "/download_token", json={"job_id": job_id})

    def download(self, url, method="GET", **headers):
        return requests.request(method, self.url + url, headers=headers, timeout=120)

    def close(self):
        return self.request("POST", "/session/close")

    def start(self, name, data, target, **options):
        """Uploads and starts a conversion; returns the job's id."""
        answer = self.upload(name, data)
        assert answer.status_code == 201, answer.text
        job_id = answer.json()["job_id"]
        answer = self.convert(job_id, target, **options)
        assert answer.status_code == 202, answer.text
        return job_id

    def result(self, name, data, target, **options):
        """The whole way: returns the job's last state and the bytes of the result."""
        job_id = self.start(name, data, target, **options)
        job = self.wait(job_id)
        assert job["status"] == "completed", job
        answer = self.download(self.token(job_id).json()["url"])
        assert answer.status_code == 200, answer.text
        return job, answer.content


def problem(answer, status, code):
    """Is this the problem document of that status and code?"""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body["code"] == code and body["status"] == status and body["type"] == "about:blank"
    assert body["title"] and body["detail"].endswith((".", "\"")) and body["request_id"] == answer.headers["X-Request-Id"]
    return body


def new_client(server):
    client = Client(server.url)
    client.init()
    return client
