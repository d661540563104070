// One file: what it is, what becomes of it, where that stands, and what can be done about it.

import { useSignal } from "@preact/signals";
import { isEnded } from "../model/items";
import type { Item, Phase } from "../model/types";
import { t } from "../text";
import { useModel } from "./context";
import { passFocus, useKeptFocus } from "./focus";
import { Icon, type IconName } from "./Icon";
import { OptionFields } from "./OptionFields";
import { Drawn, isDrawn, isShown, type Shown } from "./PreviewDialog";
import { TargetPicker } from "./TargetPicker";
import { of, phase as phaseWords, problem, replacedFonts, serversWords, size } from "./words";

/* What can be done in which phase: one table, so that no button is forgotten. */
const CAN: Record<Phase, { choose?: true; convert?: true; cancel?: true; retry?: true; other?: true; bar?: true }> = {
  refused: { retry: true },
  waiting: { choose: true, convert: true, bar: true },
  uploading: { choose: true, convert: true, bar: true },
  ready: { choose: true, convert: true },
  starting: { cancel: true, bar: true },
  stopping: { bar: true },
  deleting: {},
  queued: { cancel: true, bar: true },
  scanning: { cancel: true, bar: true },
  processing: { cancel: true, bar: true },
  completed: { other: true },
  failed: { retry: true, other: true },
  cancelled: { retry: true, other: true },
};

/* What another try can't change: the file itself is not to be had. */
const FINAL = new Set(["unsupported_type", "empty_file", "too_large", "type_mismatch", "infected"]);

/* These are put right in the options, which open by themselves. */
const IN_OPTIONS = new Set(["secret_missing", "bad_option", "bad_options"]);

const THUMBNAIL = 128;

function Badge({ item }: { item: Item }) {
  const catalogue = useModel().catalogue.value;
  const category = item.format ? catalogue?.formats.formats[item.format]?.category : undefined;
  return (
    <span class={`badge ${category ?? "unknown"}`} aria-hidden="true">
      {(item.format ?? "?").slice(0, 5)}
    </span>
  );
}

/** The result itself, once there is one to be seen; else what the file is. */
function Picture({ item, onPreview }: { item: Item; onPreview: () => void }) {
  const catalogue = useModel().catalogue.value;
  const broken = useSignal(false);

  if (item.phase !== "completed" || !item.jobId || broken.value || !isDrawn(item.target, catalogue)) return <Badge item={item} />;
  return (
    <button type="button" class="thumbnail" aria-label={of(t("row.preview"), item.name)} onClick={onPreview}>
      <Drawn jobId={item.jobId} pixels={THUMBNAIL} alt="" onNone={() => (broken.value = true)} />
    </button>
  );
}

function Bar({ item }: { item: Item }) {
  const sending = item.phase === "uploading" || item.phase === "waiting";
  const percent = sending ? (item.size > 0 ? (100 * item.sent) / item.size : 0) : item.progress;
  return <progress aria-label={of(t("row.progress"), item.name)} max={100} value={Math.round(percent)} class={sending ? "sending" : ""} />;
}

function Password({ item }: { item: Item }) {
  const model = useModel();
  const typed = useSignal("");
  return (
    <form
      class="password"
      onSubmit={(event) => {
        event.preventDefault();
        if (typed.value) model.retry(item.key, { ...item.options, password: typed.value });
      }}
    >
      <label>
        <span class="unseen">{t("error.password_required")}</span>
        <input
          type="password"
          name="document-password"
          autocomplete="off"
          maxLength={255}
          value={typed}
          placeholder={t("row.password")}
          onInput={(event) => (typed.value = event.currentTarget.value)}
        />
      </label>
      <button type="submit">{t("row.unlock")}</button>
    </form>
  );
}

function Why({ item }: { item: Item }) {
  const model = useModel();
  if (!item.problem) return null;
  const known = item.problem.code === "password_required" && item.options["password"] ? { ...item.problem, code: "wrong_password" } : item.problem;
  const more = serversWords(known);
  return (
    <p class="why">
      {problem(known, model.session.value?.limits)}
      {more && <span lang="en"> {more}</span>}
    </p>
  );
}

const STANDING: Partial<Record<Phase, IconName>> = { completed: "check", failed: "warn", refused: "warn" };

function State({ item }: { item: Item }) {
  const fonts = replacedFonts(item.job?.fonts_substituted ?? []);
  const output = item.phase === "completed" ? item.job?.output : null;
  const icon = STANDING[item.phase];

  return (
    <div class={`state ${item.phase}`}>
      <p>
        {icon && <Icon name={icon} />}
        <span>{item.stalled ? t(`row.${item.stalled}`) : phaseWords(item)}</span>
        {item.wanted && <span class="fine">{t("row.wanted")}</span>}
        {output && (
          <span class="fine">
            {size(output.size)}
            {output.pages ? `, ${t("row.pages", { count: output.pages })}` : ""}
          </span>
        )}
        {output && item.job?.cached && <span class="fine">{t("row.cached")}</span>}
      </p>
      <Why item={item} />
      {fonts && <p class="fine">{fonts}</p>}
    </div>
  );
}

interface ActionProps {
  icon: IconName;
  text: string;
  name: string;
  kind?: "primary" | "quiet" | "bare";
  disabled?: boolean;
  expanded?: boolean;
  onClick: () => void;
}

function Action({ icon, text, name, kind = "quiet", disabled = false, expanded, onClick }: ActionProps) {
  return (
    <button
      type="button"
      class={kind}
      aria-label={of(text, name)}
      title={kind === "bare" ? text : undefined}
      disabled={disabled}
      aria-expanded={expanded}
      onClick={onClick}
    >
      <Icon name={icon} /> {kind !== "bare" && <span>{text}</span>}
    </button>
  );
}

interface Props {
  item: Item;
  onPreview: (shown: Shown) => void;
  several: boolean;
}

export function Row({ item, onPreview, several }: Props) {
  const model = useModel();
  const catalogue = model.catalogue.value;
  const open = useSignal(false);
  const row = useKeptFocus<HTMLLIElement>();
  const can = CAN[item.phase];
  const { key, name, format, target, jobId } = item;
  const specs = catalogue && format && target ? catalogue.options(format, target) : [];
  const locked = item.problem?.code === "password_required";
  const stored = jobId !== null && item.problem?.code !== "infected"; /* the server still has the upload */
  const retried = can.retry && !FINAL.has(item.problem?.code ?? "");
  const adjustable = specs.length > 0 && (can.choose === true || (retried === true && stored));
  const opened = adjustable && (open.value || IN_OPTIONS.has(item.problem?.code ?? ""));
  const shown: Shown = { jobId: jobId ?? "", name: item.job?.output?.filename ?? name, mimeType: item.job?.output?.mime_type ?? "", format: target };
  const preview = () => onPreview(shown);
  const remembered = jobId !== null && isEnded(item.phase); /* the history shows it, when it is no row any more */
  const leave = t(remembered ? "row.toHistory" : jobId ? "row.delete" : "row.remove");
  const away = (go: (key: string) => unknown) => {
    passFocus(row.current);
    go(key);
  };

  return (
    <li ref={row} tabIndex={-1} class={`row ${item.phase}`} data-phase={item.phase} data-name={name}>
      <Picture item={item} onPreview={preview} />
      <div class="what">
        <p class="name" title={name}>
          <bdi>{name}</bdi>
        </p>
        <p class="fine">
          {size(item.size)}
          {format && catalogue ? ` · ${catalogue.label(format)}` : ""}
          {!can.choose && target && ` → ${target.toUpperCase()}`}
        </p>
      </div>
      <State item={item} />
      <div class="actions">
        {can.choose && format && catalogue && (
          <TargetPicker
            name={name}
            chosen={target}
            groups={(query) => catalogue.targets([format], query)}
            onChoose={(id) => model.setTarget(key, id)}
            onChooseForAll={several ? (id) => model.setTargetForAll(id) : undefined}
          />
        )}
        {can.other && stored && format && catalogue && (
          <TargetPicker
            name={of(t("history.other"), name)}
            chosen={null}
            groups={(query) => catalogue.targets([format], query)}
            onChoose={(id) => model.againRow(key, id)}
            quiet
          />
        )}
        {adjustable && <Action icon="options" text={t("row.options")} name={name} kind="bare" expanded={opened} onClick={() => (open.value = !opened)} />}
        {can.convert && !item.wanted && (
          <Action icon="arrow" text={t("row.convert")} name={name} kind="primary" disabled={!target} onClick={() => model.convert(key)} />
        )}
        {item.phase === "completed" && jobId && (
          <>
            {isShown(shown, catalogue) && <Action icon="eye" text={t("row.preview")} name={name} kind="bare" onClick={preview} />}
            <Action icon="download" text={t("row.download")} name={name} kind="primary" onClick={() => void model.download(jobId)} />
          </>
        )}
        {(can.cancel || item.wanted) && <Action icon="close" text={t("row.cancel")} name={name} onClick={() => model.cancel(key)} />}
        {retried && !locked && <Action icon="retry" text={t("row.retry")} name={name} onClick={() => model.retry(key)} />}
        {remembered && <Action icon="trash" text={t("row.delete")} name={name} kind="bare" onClick={() => away(model.delete)} />}
      </div>
      {item.phase !== "deleting" && (
        <button type="button" class="bare remove" aria-label={of(leave, name)} title={leave} onClick={() => away(remembered ? model.remove : model.delete)}>
          <Icon name={jobId && !remembered ? "trash" : "close"} />
        </button>
      )}
      {can.bar && <Bar item={item} />}
      {locked && retried && <Password item={item} />}
      {opened && <OptionFields specs={specs} options={item.options} set={(option, value) => model.setOption(key, option, value)} />}
    </li>
  );
}
