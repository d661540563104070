// "Delete everything". Who has no account closes the session, which is all that there is. An account's files outlive sessions: all of them are deleted where
// its plan lets this page see them all, else those that this browser knows.

import type { AccountHistory } from "./account-history";
import type { Api } from "./api";
import type { Conversions } from "./conversions";
import type { Deletions } from "./deletions";
import { asFailure } from "./failure";
import type { History } from "./history";
import type { Items } from "./items";
import type { Jobs } from "./jobs";
import type { Notices } from "./notices";
import type { SessionKeeper } from "./session";
import type { Tabs } from "./tabs";
import { ownerOf, type Session } from "./types";
import type { Uploads } from "./uploads";

export interface EverythingNeeds {
  api: Api;
  session: SessionKeeper;
  items: Items;
  history: History;
  accountHistory: AccountHistory;
  jobs: Jobs;
  conversions: Conversions;
  uploads: Uploads;
  deletions: Deletions;
  notices: Notices;
  tabs: Tabs;
}

export function createEverything({
  api,
  session,
  items,
  history,
  accountHistory,
  jobs,
  conversions,
  uploads,
  deletions,
  notices,
  tabs,
}: EverythingNeeds): () => Promise<void> {
  /** Somebody else may have signed in, or out, while it was under way. */
  const isStill = (of: Session | null) => ownerOf(session.current.value) === ownerOf(of);

  function emptyPage(): void {
    uploads.dropAll();
    items.clear();
    void history.clear();
  }

  async function closeSession(of: Session | null): Promise<void> {
    try {
      await api.close();
    } catch (thrown) {
      const failure = asFailure(thrown);
      // A session that has ended is what was asked for.
      if (failure.problem.code !== "session_required") throw failure;
    }
    if (!isStill(of)) return;
    emptyPage();
    // Only then the others: they are to come into the new session, and not to begin another one.
    await session.closed();
    tabs.tell({ type: "closed" });
    notices.info("deleted_everything");
  }

  /** What one that is under way needs is left the first time; that one isn't any more the second time. */
  async function emptyAccount(of: Session): Promise<void> {
    for (const { key, jobId } of items.list.value) if (!jobId) conversions.remove(key); /* what is being sent, with what the server has of it */
    let left = await api.deleteAccountJobs();
    if (left > 0 && isStill(of)) left = await api.deleteAccountJobs();
    if (!isStill(of)) return;
    if (left === 0) emptyPage();
    else await Promise.all(history.entries.value.map(({ job_id }) => jobs.refresh(job_id))); /* what is gone, is so here, too */
    await accountHistory.begin(of);
    tabs.tell({ type: left === 0 ? "closed" : "emptied" });
    notices.info(left === 0 ? "deleted_files" : "deleted_some", { count: left });
  }

  async function deleteKnown(of: Session): Promise<void> {
    await deletions.all();
    if (!isStill(of) || history.entries.value.length > 0) return;
    tabs.tell({ type: "emptied" });
    notices.info("deleted_files");
  }

  return async () => {
    const now = session.current.value;
    try {
      if (!now?.account) await closeSession(now);
      else if (now.plan === "premium") await emptyAccount(now);
      else await deleteKnown(now);
    } catch (thrown) {
      notices.problem(asFailure(thrown));
    }
  };
}
