"""What the programs of this peer share: where things are, by its environment, and the names of the keys."""

import os
from pathlib import Path

REDIS_SOCKET = os.environ["PEER_REDIS"]
STORAGE = Path(os.environ["PEER_STORAGE"])
CLAMD = os.environ.get("PEER_CLAMD", "")
BROKER = f"redis+socket://{REDIS_SOCKET}"
MAX_UPLOAD = 100 * 1024 * 1024
SESSION_SECONDS, TOKEN_SECONDS = 24 * 3600, 600

OFFICE = {"docx", "doc", "odt", "rtf", "xlsx", "xls", "ods", "pptx", "ppt", "odp"}
IMAGES = {"png", "jpg", "jpeg", "webp", "gif", "tif", "tiff", "bmp"}
TARGETS = {**{name: ["pdf", "txt"] for name in OFFICE}, **{name: ["png", "jpg", "webp"] for name in IMAGES},
           "pdf": ["png", "jpg", "txt"]}
MIME = {**dict.fromkeys(OFFICE, ("application/", "text/rtf")), **dict.fromkeys(IMAGES, ("image/",)), "pdf": ("application/pdf",)}


def session_key(session_id):
    return f"session:{session_id}"


def job_key(session_id, job_id):
    return f"session:{session_id}:jobs:{job_id}"


def jobs_key(session_id):
    return f"session:{session_id}:jobs"


def news_channel(session_id):
    return f"session:{session_id}:news"


def token_key(token):
    return f"download_token:{token}"
