// Links to results. One lives for ten minutes (docs/api.md) and is kept in the history; one that is about to end is not handed out any more.

import type { Api } from "./api";
import type { Clock } from "./clock";
import type { Environment } from "./environment";
import { asFailure } from "./failure";
import type { History } from "./history";
import type { Items } from "./items";
import type { Jobs } from "./jobs";
import type { Notices } from "./notices";
import type { DownloadToken, Session } from "./types";

/** What a link has to live at least when it is given away. */
const LEAST_MS = 30_000;

/** Results in one archive, by the server's limit; more of them come as several. */
const ARCHIVE_MAX = 100;

export interface Downloads {
  link(jobId: string): Promise<string | null>;
  download(jobId: string): Promise<void>;
  downloadAll(jobIds?: readonly string[]): Promise<void>;
  text(jobId: string, bytes: number): Promise<string | null>;
}

export interface DownloadsNeeds {
  env: Environment;
  api: Api;
  clock: Clock;
  session(): Session | null;
  items: Items;
  history: History;
  jobs: Jobs;
  notices: Notices;
}

export function createDownloads({ env, api, clock, session, items, history, jobs, notices }: DownloadsNeeds): Downloads {
  // Of results whose line in the history was cleared.
  const links = new Map<string, DownloadToken>();

  function known(jobId: string): string | null {
    const entry = history.get(jobId);
    const link = links.get(jobId);
    const url = entry ? entry.download_url : (link?.url ?? null);
    const end = entry ? entry.token_expires_at : (link?.expires_at ?? null);
    return url && end && Date.parse(end) - clock.now() >= LEAST_MS ? url : null;
  }

  /** The server has just said how long it lives, and so what time it is. */
  function learnTime(token: DownloadToken): void {
    const seconds = session()?.limits.download_token_seconds;
    if (seconds) clock.is(new Date(Date.parse(token.expires_at) - seconds * 1000).toISOString());
  }

  async function fresh(jobId: string): Promise<string> {
    const token = await api.downloadToken([jobId]);
    learnTime(token);
    if (history.get(jobId)) history.update(jobId, { download_token: token.token, download_url: token.url, token_expires_at: token.expires_at });
    else links.set(jobId, token);
    return token.url;
  }

  function failed(jobId: string | null, thrown: unknown): void {
    const failure = asFailure(thrown);
    const item = jobId ? items.ofJob(jobId) : undefined;
    if (jobId && jobs.isGone(failure)) jobs.lose(jobId, failure.problem);
    else if (item) items.update(item.key, { problem: failure.problem });
    if (!item) notices.problem(failure);
  }

  async function link(jobId: string): Promise<string | null> {
    try {
      const url = known(jobId) ?? (await fresh(jobId));
      const item = items.ofJob(jobId);
      if (item?.problem) items.update(item.key, { problem: null }); /* of an earlier try */
      return url;
    } catch (thrown) {
      failed(jobId, thrown);
      return null;
    }
  }

  async function text(jobId: string, bytes: number): Promise<string | null> {
    const url = await link(jobId);
    if (url === null) return null;
    try {
      return await api.text(url, bytes);
    } catch {
      return null; /* also where downloads have an origin of their own */
    }
  }

  const completed = () => items.list.value.flatMap((item) => (item.phase === "completed" && item.jobId ? item.jobId : []));

  return {
    link,
    text,
    async download(jobId) {
      const url = await link(jobId);
      if (url !== null) env.save(url);
    },
    async downloadAll(jobIds = completed()) {
      const count = Math.ceil(jobIds.length / ARCHIVE_MAX);
      if (count > 1) notices.info("several_downloads", { count, most: ARCHIVE_MAX });
      try {
        for (let part = 1; part <= count; part++) {
          const results = jobIds.slice((part - 1) * ARCHIVE_MAX, part * ARCHIVE_MAX);
          env.save((await api.downloadToken(results, count > 1 ? part : undefined)).url);
        }
      } catch (thrown) {
        failed(null, thrown);
      }
    },
  };
}
