import { useEffect, useRef } from "preact/hooks";
import { t } from "../text";
import { useModel } from "./context";
import { carriesFiles, filesChosen, filesOf } from "./files";
import { Icon } from "./Icon";
import { limit } from "./words";

/** Files can be let go anywhere on the page, and pasted: not only above the zone. */
function useDropsAndPastes(add: (files: File[]) => void) {
  useEffect(() => {
    let depth = 0; /* of elements that the pointer is inside */
    const show = () => document.body.classList.toggle("dragging", depth > 0);
    const enter = (event: DragEvent) => {
      if (!carriesFiles(event.dataTransfer)) return;
      event.preventDefault();
      depth++;
      show();
    };
    const leave = (event: DragEvent) => {
      if (!carriesFiles(event.dataTransfer)) return;
      depth = event.relatedTarget ? depth - 1 : 0; /* out of the window: also where an element vanished under the pointer */
      show();
    };
    const over = (event: DragEvent) => {
      if (carriesFiles(event.dataTransfer)) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      if (!event.dataTransfer || !carriesFiles(event.dataTransfer)) return;
      event.preventDefault();
      depth = 0;
      show();
      void filesOf(event.dataTransfer).then(add);
    };
    const paste = (event: ClipboardEvent) => {
      // Whoever types into a field pastes text there, also where a program has put a picture of it beside.
      if (event.target instanceof HTMLInputElement || !event.clipboardData || !carriesFiles(event.clipboardData)) return;
      event.preventDefault();
      void filesOf(event.clipboardData).then(add);
    };
    const ears: [string, EventListener][] = [
      ["dragenter", enter as EventListener],
      ["dragleave", leave as EventListener],
      ["dragover", over as EventListener],
      ["drop", drop as EventListener],
      ["paste", paste as EventListener],
    ];
    for (const [name, ear] of ears) document.addEventListener(name, ear);
    return () => {
      for (const [name, ear] of ears) document.removeEventListener(name, ear);
    };
  }, [add]);
}

/** A button that opens the browser's own dialog by a field that is not seen. */
function Chooser({ folder, add }: { folder: boolean; add: (files: File[]) => void }) {
  const field = useRef<HTMLInputElement>(null);

  useEffect(() => {
    if (field.current) field.current.webkitdirectory = folder;
  }, [folder]);

  return (
    <>
      <button type="button" class={folder ? "" : "primary"} onClick={() => field.current?.click()}>
        <Icon name={folder ? "folder" : "upload"} /> {t(folder ? "drop.folder" : "drop.choose")}
      </button>
      <input
        ref={field}
        type="file"
        multiple
        hidden
        data-chooser={folder ? "folder" : "files"}
        onChange={(event) => {
          add(filesChosen(event.currentTarget));
          event.currentTarget.value = ""; /* so that the same file can be chosen again */
        }}
      />
    </>
  );
}

export function DropZone({ compact }: { compact: boolean }) {
  const model = useModel();
  const session = model.session.value;
  const catalogue = model.catalogue.value;
  const add = useRef((files: File[]) => files.length > 0 && model.add(files)).current;
  useDropsAndPastes(add);

  return (
    <section class={compact ? "zone compact" : "zone"} aria-label={t("drop.choose")}>
      {!compact && (
        <>
          <span class="mark">
            <Icon name="upload" />
          </span>
          <h2>{t("drop.title")}</h2>
        </>
      )}
      <p>{compact ? t("drop.more") : t("drop.how")}</p>
      <div class="buttons">
        <Chooser folder={false} add={add} />
        <Chooser folder add={add} />
      </div>
      {!compact && session && catalogue && (
        <p class="fine">{t("drop.limits", { size: limit(session.limits.max_upload_bytes), formats: Object.keys(catalogue.formats.formats).length })}</p>
      )}
    </section>
  );
}
