import { useComputed } from "@preact/signals";
import type { VNode } from "preact";
import { useMemo } from "preact/hooks";
import { isOpen } from "../model/items";
import type { Item } from "../model/types";
import { t } from "../text";
import { useModel } from "./context";
import { Icon } from "./Icon";
import { type Shown } from "./PreviewDialog";
import { Row } from "./Row";
import { TargetPicker } from "./TargetPicker";
import { standing } from "./words";

const MERGED_AT_MOST = 100; /* by the server, in one call */

function Toolbar({ items }: { items: readonly Item[] }) {
  const model = useModel();
  const catalogue = model.catalogue.value;
  const open = items.filter((item) => isOpen(item.phase) && item.format !== null);
  const done = items.filter((item) => item.phase === "completed" && item.jobId !== null);
  const chosen = new Set(open.map((item) => item.target));
  const formats = open.flatMap((item) => item.format ?? []);
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
            groups={(query) => catalogue?.targets(formats, query) ?? []}
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
  return (
    <p class="unseen" role="status">
      {standing(items, model.overall.value)}
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
