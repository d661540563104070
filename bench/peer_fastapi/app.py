"""The specification as FastAPI's users would write it: sessions and jobs in Redis, uploads to disk in chunks, the type by
python-magic, the work given to Celery. A contestant of the benchmark, not a part of Decant."""

import json
import secrets
import time
import uuid
from datetime import datetime, timezone

import magic
import redis.asyncio
from fastapi import Cookie, FastAPI, File, Header, HTTPException, Response, UploadFile
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel

from settings import (MAX_UPLOAD, MIME, REDIS_SOCKET, SESSION_SECONDS, STORAGE, TARGETS, TOKEN_SECONDS, job_key, jobs_key,
                      news_channel, session_key, token_key)
from tasks import convert as convert_task

app = FastAPI()
store = redis.asyncio.Redis(unix_socket_path=REDIS_SOCKET, decode_responses=True)
CHUNK = 1 << 20
HEARTBEAT_SECONDS = 15


class JobRequest(BaseModel):
    job_id: uuid.UUID


class ConvertRequest(JobRequest):
    target_format: str


def now():
    return datetime.now(timezone.utc).isoformat()


async def check_session(session_id):
    session = await store.hgetall(session_key(session_id)) if session_id else None
    if not session:
        raise HTTPException(401, "no session")
    return session


async def check_csrf(session_id, token):
    session = await check_session(session_id)
    if not token or not secrets.compare_digest(session["csrf_token"], token):
        raise HTTPException(403, "wrong CSRF token")


async def load_job(session_id, job_id):
    job = await store.hgetall(job_key(session_id, job_id))
    if not job:
        raise HTTPException(404, "no such job")
    return job


@app.get("/session/init")
async def session_init(response: Response, session_id: str = Cookie(None)):
    session = await store.hgetall(session_key(session_id)) if session_id else None
    if not session:
        session_id = secrets.token_urlsafe(32)
        session = {"csrf_token": secrets.token_hex(32), "created_at": now()}
        async with store.pipeline() as pipe:
            await pipe.hset(session_key(session_id), mapping=session).expire(session_key(session_id), SESSION_SECONDS).execute()
    response.set_cookie("session_id", session_id, max_age=SESSION_SECONDS, httponly=True, secure=True, samesite="strict")
    return session


@app.post("/upload", status_code=201)
async def upload(file: UploadFile = File(...), session_id: str = Cookie(None), x_csrf_token: str = Header(None)):
    await check_csrf(session_id, x_csrf_token)
    extension = (file.filename or "").rpartition(".")[2].lower()
    if extension not in TARGETS:
        raise HTTPException(415, "unsupported type")
    job_id = str(uuid.uuid4())
    path = STORAGE / session_id / job_id / "uploads" / f"{uuid.uuid4()}.{extension}"
    path.parent.mkdir(parents=True)
    size = 0
    with open(path, "wb") as out:
        while chunk := await file.read(CHUNK):
            size += len(chunk)
            if size > MAX_UPLOAD:
                raise HTTPException(413, "too large")
            out.write(chunk)
    mime = magic.from_file(str(path), mime=True)
    if not mime.startswith(MIME[extension]):
        path.unlink()
        raise HTTPException(422, "the bytes are not what the extension says")
    job = {"original_filename": file.filename, "stored_path": str(path), "source_format": extension, "target_format": "",
           "converted_path": "", "status": "uploaded", "progress": 0, "task_id": "", "created_at": now(), "completed_at": "",
           "error_message": ""}
    async with store.pipeline() as pipe:
        pipe.hset(job_key(session_id, job_id), mapping=job).expire(job_key(session_id, job_id), SESSION_SECONDS)
        pipe.sadd(jobs_key(session_id), job_id).expire(jobs_key(session_id), SESSION_SECONDS)
        await pipe.publish(news_channel(session_id), job_id).execute()
    return {"job_id": job_id, "original_filename": file.filename, "size": size, "mime_type": mime, "status": "uploaded",
            "targets": TARGETS[extension]}


@app.post("/convert", status_code=202)
async def convert(request: ConvertRequest, session_id: str = Cookie(None), x_csrf_token: str = Header(None)):
    await check_csrf(session_id, x_csrf_token)
    job_id = str(request.job_id)
    job = await load_job(session_id, job_id)
    if request.target_format not in TARGETS[job["source_format"]]:
        raise HTTPException(422, "unsupported target")
    await store.hset(job_key(session_id, job_id), mapping={"status": "queued", "target_format": request.target_format})
    task = convert_task.delay(session_id, job_id)
    async with store.pipeline() as pipe:
        await pipe.hset(job_key(session_id, job_id), "task_id", task.id).publish(news_channel(session_id), job_id).execute()
    return {"job_id": job_id, "task_id": task.id, "status": "queued", "target_format": request.target_format}


async def status_of(session_id, job_id):
    job = await load_job(session_id, job_id)
    return {"job_id": job_id, **{name: job[name] for name in (
        "task_id", "original_filename", "target_format", "status", "progress", "created_at", "completed_at", "error_message")}}


@app.get("/job_status")
async def job_status(job_id: uuid.UUID, session_id: str = Cookie(None)):
    await check_session(session_id)
    return await status_of(session_id, str(job_id))


async def job_events(session_id):
    async with store.pubsub() as news:
        await news.subscribe(news_channel(session_id))
        for job_id in await store.smembers(jobs_key(session_id)):
            yield f"event: job\ndata: {json.dumps(await status_of(session_id, job_id))}\n\n"
        while True:
            message = await news.get_message(ignore_subscribe_messages=True, timeout=HEARTBEAT_SECONDS)
            if message:
                yield f"event: job\ndata: {json.dumps(await status_of(session_id, message['data']))}\n\n"
            else:
                yield ":\n\n"


@app.get("/events")
async def events(session_id: str = Cookie(None)):
    await check_session(session_id)
    return StreamingResponse(job_events(session_id), media_type="text/event-stream",
                             headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


@app.post("/download_token", status_code=201)
async def download_token(request: JobRequest, session_id: str = Cookie(None), x_csrf_token: str = Header(None)):
    await check_csrf(session_id, x_csrf_token)
    job = await load_job(session_id, str(request.job_id))
    if job["status"] != "completed":
        raise HTTPException(409, "not completed")
    token = secrets.token_urlsafe(32)
    record = {"session_id": session_id, "job_id": str(request.job_id), "file_path": job["converted_path"],
              "expires_at": time.time() + TOKEN_SECONDS}
    async with store.pipeline() as pipe:
        await pipe.hset(token_key(token), mapping=record).expire(token_key(token), TOKEN_SECONDS).execute()
    return {"token": token, "url": f"/download?token={token}"}


@app.get("/download")
async def download(token: str):
    record = await store.hgetall(token_key(token))
    if not record:
        raise HTTPException(404, "no such token")
    return FileResponse(record["file_path"], filename=record["file_path"].rpartition("/")[2],
                        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store"})
