"""What has expired is gone from the disk within a minute, and nothing else is."""

import time

from client import Client
from fixtures import png

TTL = 20


def upload(server):
    client = Client(server.url)
    client.init()
    answer = client.upload("a.png", png(8, 8))
    assert answer.status_code == 201, answer.text
    return client, answer.json()["job_id"]


def folders(server):
    return {path.name for path in (server.data / "storage").iterdir() if not path.name.startswith(".")}


def test_expired_sessions_leave_nothing(own_server):
    server = own_server("image", DECANT_SESSION_TTL=str(TTL))
    upload(server)
    old = folders(server)
    assert len(old) == 1
    deadline = time.monotonic() + TTL + 60
    while old & folders(server):
        assert time.monotonic() < deadline, "what has expired is still there"
        client, job = upload(server)  # there is always one that is younger
        time.sleep(2)
    assert client.status(job).json()["status"] == "uploaded"
    assert client.session_id in folders(server)
    assert "cleaned up" in server.log()
