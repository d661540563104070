// What this browser has converted, also in sessions that have ended; of an account whose plan has that, what others have, too. What stands among the rows isn't
// shown twice.

import { useComputed, useSignal } from "@preact/signals";
import type { HistoryEntry } from "../model/types";
import { t, type TextKey } from "../text";
import { useModel } from "./context";
import { passFocus, useKeptFocus } from "./focus";
import { Icon } from "./Icon";
import { isShown, type Shown } from "./PreviewDialog";
import { Sure } from "./Sure";
import { TargetPicker } from "./TargetPicker";
import { clock, of, problem, relative } from "./words";

function Standing({ entry, expired, now }: { entry: HistoryEntry; expired: boolean; now: number }) {
  if (entry.lost) return <span>{t("history.lost")}</span>;
  const key: TextKey = expired ? "history.expired" : "history.until";
  return (
    <time dateTime={entry.expires_at} title={clock(entry.expires_at)}>
      {t(key, { time: expired ? relative(entry.expires_at, now) : clock(entry.expires_at) })}
    </time>
  );
}

function Line({ entry, now, onPreview }: { entry: HistoryEntry; now: number; onPreview: (shown: Shown) => void }) {
  const model = useModel();
  const catalogue = model.catalogue.value;
  const name = entry.original_filename;
  const expired = Date.parse(entry.expires_at) <= now;
  const there = !expired && !entry.lost;
  const shown: Shown = { jobId: entry.job_id, name: entry.output?.filename ?? name, mimeType: entry.output?.mime_type ?? "", format: entry.target_format };
  const why = entry.error_code ? problem({ code: entry.error_code, detail: entry.error_message ?? "" }, undefined) : null;

  const forgetting = t(there ? "row.delete" : "history.forget");
  const line = useKeptFocus<HTMLLIElement>();
  const forget = () => {
    passFocus(line.current);
    void model.forget(entry.job_id);
  };
  return (
    <li ref={line} tabIndex={-1} class={there ? "past" : "past gone"} data-name={name} data-status={entry.status}>
      <div class="what">
        <p class="name" title={name}>
          <bdi>{name}</bdi>
        </p>
        <p class="fine">
          {t("history.fromTo", { from: entry.source_format.toUpperCase(), to: entry.target_format.toUpperCase() })} ·{" "}
          {t(`phase.${entry.status}` as TextKey, { percent: "" })} · <Standing entry={entry} expired={expired} now={now} />
        </p>
        {why && <p class="fine">{why}</p>}
      </div>
      <div class="actions">
        {there && entry.status === "completed" && (
          <>
            {isShown(shown, catalogue) && (
              <button type="button" class="bare" aria-label={of(t("row.preview"), name)} title={t("row.preview")} onClick={() => onPreview(shown)}>
                <Icon name="eye" />
              </button>
            )}
            <button type="button" class="quiet" aria-label={of(t("row.download"), name)} onClick={() => void model.download(entry.job_id)}>
              <Icon name="download" /> {t("row.download")}
            </button>
          </>
        )}
        {there && entry.error_code !== "infected" && (
          <>
            <button
              type="button"
              class="bare"
              aria-label={of(t("history.again"), name)}
              title={t("history.again")}
              onClick={() => model.again(entry, entry.target_format)}
            >
              <Icon name="retry" />
            </button>
            {catalogue && (
              <TargetPicker
                name={of(t("history.other"), name)}
                chosen={null}
                groups={(query) => catalogue.targets([entry.source_format], query)}
                onChoose={(target) => model.again(entry, target)}
                quiet
              />
            )}
          </>
        )}
        <button type="button" class="bare" aria-label={of(forgetting, name)} title={forgetting} onClick={forget}>
          <Icon name="trash" />
        </button>
      </div>
    </li>
  );
}

export function History({ onPreview }: { onPreview: (shown: Shown) => void }) {
  const model = useModel();
  const now = model.now.value;
  // As a text, which is the same as long as the rows are: their progress is nothing to the history.
  const ids = useComputed(() => model.items.value.flatMap((item) => item.jobId ?? []).join(" ")).value;
  const rows = new Set(ids.split(" "));
  const more = model.historyMore.value;
  const session = model.session.value;
  const shared = session?.account != null && session.plan === "premium"; /* then "delete all files" is what empties it */
  const past = model.history.value.filter((entry) => !rows.has(entry.job_id));
  const unkept = !shared && !model.historyKept.value;
  const clearing = useSignal(false);
  const head = useKeptFocus<HTMLElement>();

  return (
    <section class="history" aria-labelledby="history-title">
      <header ref={head} tabIndex={-1} class="section">
        <h2 id="history-title">
          <Icon name="history" /> {t("history.title")}
        </h2>
        {past.length > 0 && !shared && (
          <button type="button" class="quiet" onClick={() => (clearing.value = true)}>
            {t("history.clear")}
          </button>
        )}
        {clearing.value && (
          <Sure
            title={t("history.clear")}
            question={t("history.clearSure")}
            yes={t("history.clearYes")}
            onYes={() => void model.forgetAll()}
            onClose={() => (clearing.value = false)}
          />
        )}
      </header>
      {unkept ? <p class="fine">{t("history.unkept")}</p> : past.length === 0 && <p class="fine">{t(shared ? "history.emptyOfAccount" : "history.empty")}</p>}
      {past.length > 0 && (
        <ul class="rows">
          {past.map((entry) => (
            <Line key={entry.job_id} entry={entry} now={now} onPreview={onPreview} />
          ))}
        </ul>
      )}
      {more !== "none" && (
        <button type="button" class="more" aria-disabled={more === "loading"} onClick={() => void model.showMoreHistory()}>
          {t(more === "loading" ? "history.loading" : "history.more")}
        </button>
      )}
    </section>
  );
}
