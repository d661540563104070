// Rows and lines of the history, made of one another.

import type { StoredEntry } from "./history-store";
import { isEnded, isRunning, newItem } from "./items";
import type { Catalogue } from "./model";
import { withoutSecrets } from "./options";
import { ownerOf, type HistoryEntry, type Item, type Job, type Problem, type Session, type Uploaded } from "./types";

/** What `job` says that the history keeps. */
export function kept(job: Job): Partial<StoredEntry> {
  const { task_id, original_filename, status, source_format, size, output, error_code, error_message } = job;
  return {
    task_id,
    original_filename,
    status,
    source_format,
    size,
    output,
    error_code,
    error_message,
    lost: false,
    ...(job.target_format === null ? {} : { target_format: job.target_format }),
  };
}

/** When what was made then ends. */
export function endOf(session: Session, createdAt: string): string {
  return session.account ? new Date(Date.parse(createdAt) + session.account.retention_seconds * 1000).toISOString() : session.expires_at;
}

/** Of a job that was sent by another browser, or a program. */
export function lineOf(job: Job, expiresAt: string): HistoryEntry {
  return {
    job_id: job.job_id,
    original_filename: job.original_filename,
    target_format: job.target_format ?? "",
    download_token: null,
    status: job.status,
    timestamp: job.created_at,
    source_format: job.source_format,
    size: job.size,
    output: job.output,
    error_code: job.error_code,
    error_message: job.error_message,
    options: {},
    secrets: [],
    expires_at: expiresAt,
    token_expires_at: null,
    lost: false,
  };
}

export function entryOf(item: Item, answer: Uploaded, session: Session, catalogue: Catalogue | null): StoredEntry {
  return {
    job_id: answer.job_id,
    original_filename: answer.original_filename,
    target_format: item.target ?? "",
    download_token: null,
    status: "uploaded",
    timestamp: answer.created_at,
    source_format: answer.format,
    size: answer.size,
    output: null,
    error_code: null,
    error_message: null,
    options: withoutSecrets(catalogue, item.options),
    secrets: item.secrets,
    expires_at: endOf(session, answer.created_at),
    token_expires_at: null,
    lost: false,
    account: ownerOf(session),
    row: true,
    place: item.place,
    download_url: null,
    task_id: null,
  };
}

/** What a failed job says; who cancelled it needs no explanation. */
export function problemOf(code: string | null, message: string | null): Problem | null {
  return code === null || code === "cancelled_by_user" ? null : { code, detail: message ?? "" };
}

/** Until the server has said more of it. */
export function itemOf(key: string, entry: StoredEntry): Item {
  return newItem(key, {
    place: entry.place,
    name: entry.original_filename,
    size: entry.size,
    format: entry.source_format,
    phase: entry.status === "uploaded" ? "ready" : entry.status,
    target: entry.target_format || null,
    options: entry.options,
    secrets: entry.secrets,
    sent: entry.size,
    progress: entry.status === "completed" ? 100 : 0,
    problem: problemOf(entry.error_code, entry.error_message),
    jobId: entry.job_id,
  });
}

/** What a row becomes by what the server says of its job. */
export function changeBy(item: Item, job: Job, phase: Item["phase"]): Partial<Item> {
  if (phase === "ready") return { job, phase };
  const progress = Math.max(item.progress, job.progress); /* another try begins at 0: nobody wants to see that */
  return {
    job,
    phase,
    format: job.source_format,
    target: job.target_format ?? item.target,
    progress: phase === "completed" ? 100 : Math.min(progress, isRunning(phase) ? 99 : 100),
    stalled: null,
    wanted: false,
    ...(isEnded(phase) ? { problem: problemOf(job.error_code, job.error_message) } : {}),
  };
}
