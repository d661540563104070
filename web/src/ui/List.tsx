import { useComputed } from "@preact/signals";
import type { VNode } from "preact";
import { useMemo } from "preact/hooks";
import type { TargetGroup } from "../model/model";
import { isOpen } from "../model/items";
import type { Item } from "../model/types";
import { t } from "../text";
import { useModel } from "./context";
import { Icon } from "./Icon";
import { type Shown } from "./PreviewDialog";
import { Row } from "./Row";
import { TargetPicker } from "./TargetPicker";

const MERGED_AT_MOST = 100; /* by the server, in one call */

/** What at least one of these rows can become, the likeliest of the first row first. */
function useTargetsOfAll(items: readonly Item[]): (query: string) => TargetGroup[] {
  const catalogue = useModel().catalogue.value;
  return (query) => {
    const sources = [...new Set(items.map((item) => item.format).filter((format) => format !== null))];
    const groups = new Map<string, TargetGroup>();
    const seen = new Set<string>();
    for (const source of sources)
      for (const group of catalogue?.targets(source, query) ?? []) {
        const all = groups.get(group.category) ?? { category: group.category, targets: [] };
        all.targets.push(...group.targets.filter((target) => !seen.has(target.id)));
        for (const target of group.targets) seen.add(target.id);
        groups.set(group.category, all);
      }
    return [...groups.values()].filter((group) => group.targets.length > 0);
  };
}

function Toolbar({ items }: { items: readonly Item[] }) {
  const model = useModel();
  const catalogue = model.catalogue.value;
  const open = items.filter((item) => isOpen(item.phase) && item.format !== null);
  const done = items.filter((item) => item.phase === "completed" && item.jobId !== null);
  const chosen = new Set(open.map((item) => item.target));
  const targets = useTargetsOfAll(open);
  const ready = open.filter((item) => item.phase === "ready");
  const mergeable =
    ready.length > 1 &&
    ready.length === open.length &&
    ready.length <= MERGED_AT_MOST &&
    catalogue !== null &&
    ready.every((item) => item.format === "pdf" || catalogue.reaches(item.format ?? "", "pdf"));

  return (
    <div class="toolbar">
      {open.length > 1 && (
        <>
          <TargetPicker
            name={t("list.all")}
            chosen={chosen.size === 1 ? ([...chosen][0] ?? null) : null}
            groups={targets}
            onChoose={(target) => model.setTargetForAll(target)}
          />
          <button type="button" class="primary" disabled={!open.some((item) => item.target)} onClick={() => model.convertAll()}>
            <Icon name="arrow" /> {t("list.convertAll")}
          </button>
        </>
      )}
      {mergeable && (
        <button type="button" onClick={() => model.mergeAll("pdf")}>
          <Icon name="merge" /> {t("list.merge")}
        </button>
      )}
      {done.length > 1 && (
        <button type="button" class={open.length > 1 ? "" : "primary"} onClick={() => void model.downloadAll()}>
          <Icon name="download" /> {t("list.downloadAll")}
        </button>
      )}
    </div>
  );
}

/** Said to who doesn't see the rows: not each percent, but each file that begins and ends. */
function Spoken({ items }: { items: readonly Item[] }) {
  const model = useModel();
  const running = model.overall.value.running;
  const failed = items.filter((item) => item.phase === "failed" || item.phase === "refused").length;
  const done = items.filter((item) => item.phase === "completed").length;
  const percent = Math.floor(model.overall.value.percent / 25) * 25;
  const words =
    running > 0 ? t("list.progress", { count: running, percent }) : done > 0 ? t("list.done", { count: done }) : t("list.count", { count: items.length });
  return (
    <p class="unseen" role="status">
      {words}
      {failed > 0 && `. ${t("notify.failed", { count: failed })}`}
    </p>
  );
}

export function List({ onPreview }: { onPreview: (shown: Shown) => void }) {
  const model = useModel();
  const items = model.items.value;
  const several = useComputed(() => model.items.value.filter((item) => isOpen(item.phase)).length > 1).value;
  // A row is drawn again when its item is another one: two hundred of them stand beside one that progresses.
  const drawn = useMemo(() => new WeakMap<Item, VNode>(), [several]);

  return (
    <section aria-labelledby="files-title">
      <header class="section">
        <h2 id="files-title">
          {t("list.title")} <span class="fine">{t("list.count", { count: items.length })}</span>
        </h2>
        <Toolbar items={items} />
      </header>
      <Spoken items={items} />
      <ul class="rows">
        {items.map((item) => {
          const row = drawn.get(item) ?? <Row key={item.key} item={item} onPreview={onPreview} several={several} />;
          drawn.set(item, row);
          return row;
        })}
      </ul>
    </section>
  );
}
