// What the server says (docs/api.md), and what the page makes of it. Members with underscores are the server's names.

export type Status = "uploaded" | "queued" | "scanning" | "processing" | "completed" | "failed" | "cancelled";

export interface Limits {
  max_upload_bytes: number;
  /** Files of one session at once. */
  max_jobs: number;
  /** What these and their results may take together; 0: no limit. */
  max_bytes: number;
  session_seconds: number;
  download_token_seconds: number;
}

/** Whose files a session sees: an account's, for as long as its plan keeps them. */
export interface SessionAccount {
  id: string;
  name: string;
  retention_seconds: number;
}

export interface Session {
  csrf_token: string;
  created_at: string;
  expires_at: string;
  limits: Limits;
  plan?: "free" | "premium";
  /** null: nobody's. */
  account?: SessionAccount | null;
  /** How people can sign in here. */
  logins?: { password: boolean; oidc: boolean };
}

/** Whose it is, as entries of the history say it; "": nobody's. */
export const ownerOf = (session: Session | null): string => session?.account?.id ?? "";

export type OptionType = "integer" | "boolean" | "choice" | "set" | "pages" | "string" | "format" | "colour";
export type OptionValue = number | boolean | string;
export type Options = Record<string, OptionValue>;

export interface OptionSpec {
  name: string;
  type: OptionType;
  label: string;
  min?: number;
  max?: number;
  choices?: string[];
  max_length?: number;
  secret?: boolean;
  default?: OptionValue | null;
}

export interface Format {
  label: string;
  category: string;
  mime_types: string[];
  extensions: string[];
  /** The likeliest first. */
  targets: string[];
  /** By target: names into Formats.options. */
  options: Record<string, string[]>;
}

/** GET /formats */
export interface Formats {
  formats: Record<string, Format>;
  options: Record<string, OptionSpec>;
}

export interface Output {
  filename: string;
  mime_type: string;
  size: number;
  pages?: number;
}

export interface FontSubstitution {
  font: string;
  used: string;
  metric_compatible: boolean;
}

/** GET /job_status, and the events. */
export interface Job {
  job_id: string;
  task_id: string | null;
  original_filename: string;
  source_format: string;
  mime_type: string;
  size: number;
  target_format: string | null;
  status: Status;
  progress: number;
  created_at: string;
  completed_at: string | null;
  error_code: string | null;
  error_message: string | null;
  output: Output | null;
  /** Nothing was converted: the same file had been before. */
  cached?: boolean;
  fonts_substituted?: FontSubstitution[] | null;
}

/** POST /upload and POST /duplicate */
export interface Uploaded {
  job_id: string;
  original_filename: string;
  size: number;
  mime_type: string;
  format: string;
  status: "uploaded";
  created_at: string;
  targets: string[];
}

/** GET /history */
export interface JobPage {
  jobs: Job[];
  next_cursor: string | null;
  retention_seconds: number;
}

export interface DownloadToken {
  token: string;
  url: string;
  expires_at: string;
}

/** Why something didn't work: a stable code (of an answer's problem+json, of a job's error_code, or one of OwnCode) and the server's sentence, "" where
 * it said none. `text/` has a sentence for each code, in each language. */
export interface Problem {
  code: string;
  detail: string;
  /** Seconds after which another try makes sense, where the server says. */
  retryAfter?: number;
  /** Of an option: what the catalogue calls it. */
  label?: string;
}

/** Codes that the page itself gives: no answer came; the file can't be read any more (moved, folder); no answer that can be understood; the session
 * holds max_jobs files; a password that was chosen is no longer at hand; an
 * option can't be that (`detail` is its name); what is to become one file is more than the server takes, or needs a password; what is to be
 * deleted is to become one with others. Single sign-on has codes of its own (`sso_…`, login.ts). */
export type OwnCode =
  "network" | "unreadable" | "unexpected" | "too_many_files" | "secret_missing" | "bad_option" | "too_many_to_merge" | "merge_locked" | "file_needed";

/**
 * Where a row stands. `refused`: not sent, or not taken by the server; `waiting`: one of the four ways up is not free yet; `ready`: uploaded, to be
 * converted; `starting`: POST /convert, /retry or /duplicate is under way; `stopping`: it is being cancelled; `deleting`: POST /delete is under way; the others
 * are the server's.
 */
export type Phase =
  | "refused"
  | "waiting"
  | "uploading"
  | "ready"
  | "starting"
  | "stopping"
  | "deleting"
  | "queued"
  | "scanning"
  | "processing"
  | "completed"
  | "failed"
  | "cancelled";

export type Stall = "network" | "busy";

/** One row. Never changed in place: the list holds another object after each change. */
export interface Item {
  /** The page's own name for it, from before it has a job. */
  readonly key: string;
  /** Among the rows, the least first: milliseconds of when it was added, or a little more where many were. 0: not added yet. */
  readonly place: number;
  readonly name: string;
  readonly size: number;
  readonly phase: Phase;
  /** Id of the format: by the file's extension, then as the server says; null: unknown. */
  readonly format: string | null;
  readonly target: string | null;
  readonly options: Options;
  /** Names of the passwords among the options, also where the value is gone (a reload, another tab): they are never kept. */
  readonly secrets: readonly string[];
  /** Bytes that have been sent. */
  readonly sent: number;
  /** Of the conversion, 0–100. */
  readonly progress: number;
  /** Tried again after a while: the connection was lost, or the server asked to wait. */
  readonly stalled: Stall | null;
  /** It is to be converted as soon as it is uploaded. */
  readonly wanted: boolean;
  readonly problem: Problem | null;
  readonly jobId: string | null;
  readonly job: Job | null;
}

/** One line of the history, as IndexedDB keeps it; the first six are the specification's names. */
export interface HistoryEntry {
  job_id: string;
  original_filename: string;
  target_format: string;
  download_token: string | null;
  status: Status;
  /** When it was begun, RFC 3339. */
  timestamp: string;
  source_format: string;
  size: number;
  output: Output | null;
  error_code: string | null;
  error_message: string | null;
  /** Without passwords … */
  options: Options;
  /** … of which these are the names. */
  secrets: readonly string[];
  /** When its files end: with the session that it belongs to, or when an account's plan keeps them no longer. */
  expires_at: string;
  /** When `download_token` ends. */
  token_expires_at: string | null;
  /** Gone before its time: the session was closed, the server doesn't know it. */
  lost: boolean;
}
