// One file: what it is, what becomes of it, where that stands, and what can be done about it.

import { useSignal } from "@preact/signals";
import type { Item, Phase } from "../model/types";
import { t } from "../text";
import { useModel } from "./context";
import { Icon, type IconName } from "./Icon";
import { OptionFields } from "./OptionFields";
import { isDrawn, isShown, type Shown } from "./PreviewDialog";
import { TargetPicker } from "./TargetPicker";
import { of, phase as phaseWords, problem, size } from "./words";

/* What can be done in which phase: one table, so that no button is forgotten. */
const CAN: Record<Phase, { choose?: true; convert?: true; cancel?: true; retry?: true; bar?: true }> = {
  refused: {},
  waiting: { choose: true, convert: true, bar: true },
  uploading: { choose: true, convert: true, bar: true },
  ready: { choose: true, convert: true },
  starting: { cancel: true, bar: true },
  queued: { cancel: true, bar: true },
  scanning: { cancel: true, bar: true },
  processing: { cancel: true, bar: true },
  completed: {},
  failed: { retry: true },
  cancelled: { retry: true },
};

/* These have a file that hasn't come up, and can be sent again. */
const SENT_AGAIN = new Set(["network", "rate_limited", "unavailable", "storage_full", "internal", "request_timeout", "session_required"]);

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
  const model = useModel();
  const catalogue = model.catalogue.value;
  const broken = useSignal(false);

  if (item.phase !== "completed" || !item.jobId || broken.value || !isDrawn(item.target, catalogue)) return <Badge item={item} />;
  return (
    <button type="button" class="thumbnail" aria-label={of(t("row.preview"), item.name)} onClick={onPreview}>
      <img src={model.previewUrl(item.jobId, THUMBNAIL)} alt="" loading="lazy" onError={() => (broken.value = true)} />
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
          placeholder={t("error.password_required")}
          onInput={(event) => (typed.value = event.currentTarget.value)}
        />
      </label>
      <button type="submit">{t("row.unlock")}</button>
    </form>
  );
}

function State({ item }: { item: Item }) {
  const model = useModel();
  const fonts = (item.job?.fonts_substituted ?? []).filter((font) => !font.metric_compatible);
  const output = item.phase === "completed" ? item.job?.output : null;
  const icon: IconName | null = item.phase === "completed" ? "check" : item.problem && item.phase !== "cancelled" ? "warn" : null;

  return (
    <div class={`state ${item.phase}`}>
      <p>
        {icon && <Icon name={icon} />}
        <span>{item.stalled ? t("row.stalled") : phaseWords(item)}</span>
        {item.wanted && <span class="fine">{t("row.wanted")}</span>}
        {output && (
          <span class="fine">
            {" "}
            {size(output.size)}
            {output.pages ? `, ${t("row.pages", { count: output.pages })}` : ""}
          </span>
        )}
      </p>
      {item.problem && <p class="why">{problem(item.problem, model.session.value?.limits)}</p>}
      {fonts.length > 0 && <p class="fine">{t("row.fonts", { count: fonts.length, list: fonts.map((font) => `${font.font} → ${font.used}`).join(", ") })}</p>}
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
  const can = CAN[item.phase];
  const { key, name, format, target, jobId } = item;
  const specs = catalogue && format && target ? catalogue.options(format, target) : [];
  const retried = can.retry && jobId !== null && item.problem?.code !== "infected"; /* which has no upload left */
  const adjustable = can.choose || retried;
  const locked = item.problem?.code === "password_required";
  const shown: Shown = { jobId: jobId ?? "", name: item.job?.output?.filename ?? name, mimeType: item.job?.output?.mime_type ?? "", format: target };
  const preview = () => onPreview(shown);

  return (
    <li class={`row ${item.phase}`} data-phase={item.phase} data-name={name}>
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
            groups={(query) => catalogue.targets(format, query)}
            onChoose={(id) => model.setTarget(key, id)}
            onChooseForAll={several ? (id) => model.setTargetForAll(id) : undefined}
          />
        )}
        {adjustable && specs.length > 0 && (
          <Action icon="options" text={t("row.options")} name={name} kind="bare" expanded={open.value} onClick={() => (open.value = !open.value)} />
        )}
        {can.convert && !item.wanted && (
          <Action icon="arrow" text={t("row.convert")} name={name} kind="primary" disabled={!target} onClick={() => model.convert(key)} />
        )}
        {item.phase === "completed" && jobId && (
          <>
            {isShown(shown, catalogue) && <Action icon="eye" text={t("row.preview")} name={name} kind="bare" onClick={preview} />}
            <Action icon="download" text={t("row.download")} name={name} kind="primary" onClick={() => void model.download(jobId)} />
          </>
        )}
        {can.cancel && <Action icon="close" text={t("row.cancel")} name={name} onClick={() => model.cancel(key)} />}
        {((retried && !locked) ||
          (item.phase === "cancelled" && jobId === null) ||
          (item.problem && item.phase === "refused" && SENT_AGAIN.has(item.problem.code))) && (
          <Action icon="retry" text={t("row.retry")} name={name} onClick={() => model.retry(key)} />
        )}
      </div>
      <button type="button" class="bare remove" aria-label={of(t("row.remove"), name)} title={t("row.remove")} onClick={() => model.remove(key)}>
        <Icon name="trash" />
      </button>
      {can.bar && <Bar item={item} />}
      {retried && locked && <Password item={item} />}
      {open.value && adjustable && specs.length > 0 && (
        <OptionFields specs={specs} options={item.options} set={(option, value) => model.setOption(key, option, value)} />
      )}
    </li>
  );
}
