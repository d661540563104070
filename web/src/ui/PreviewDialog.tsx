// The first page or picture of a result, drawn by the server in its sandbox; text as text. The browser never opens a result itself.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Catalogue } from "../model/model";
import { t } from "../text";
import { useModel } from "./context";
import { Dialog } from "./Dialog";
import { size } from "./words";

export interface Shown {
  jobId: string;
  name: string;
  mimeType: string;
  format: string | null;
}

const PIXELS = 1024;
const TEXT_BYTES = 64 * 1024;

/* Categories that the server can draw. Of the others it would have to be asked in vain. */
const DRAWN = new Set(["pdf", "image", "drawing", "document", "spreadsheet", "presentation", "video"]);
const WRITTEN = new Set(["text", "subtitles"]);

function categoryOf(format: string | null, catalogue: Catalogue | null): string {
  return (format && catalogue?.formats.formats[format]?.category) || "";
}

export function isDrawn(format: string | null, catalogue: Catalogue | null): boolean {
  return DRAWN.has(categoryOf(format, catalogue));
}

function isText(shown: Shown, catalogue: Catalogue | null): boolean {
  return shown.mimeType.startsWith("text/") || WRITTEN.has(categoryOf(shown.format, catalogue));
}

export function isShown(shown: Shown, catalogue: Catalogue | null): boolean {
  return isDrawn(shown.format, catalogue) || isText(shown, catalogue);
}

function Words({ shown }: { shown: Shown }) {
  const model = useModel();
  const text = useSignal<string | null | undefined>(undefined);

  useEffect(() => {
    void model.resultText(shown.jobId, TEXT_BYTES).then((found) => (text.value = found));
  }, [shown.jobId]);

  if (text.value === undefined) return <p role="status">{t("preview.loading")}</p>;
  if (text.value === null) return <p role="status">{t("preview.none")}</p>;
  return (
    <>
      <pre dir="auto" tabIndex={0}>
        {text.value}
      </pre>
      {text.value.length >= TEXT_BYTES / 4 && <p class="fine">{t("preview.cut", { size: size(TEXT_BYTES) })}</p>}
    </>
  );
}

function Picture({ shown }: { shown: Shown }) {
  const model = useModel();
  const state = useSignal<"loading" | "shown" | "none">("loading");

  if (state.value === "none") return <p role="status">{t("preview.none")}</p>;
  return (
    <>
      {state.value === "loading" && <p role="status">{t("preview.loading")}</p>}
      <img
        src={model.previewUrl(shown.jobId, PIXELS)}
        alt={t("preview.alt", { name: shown.name })}
        onLoad={() => (state.value = "shown")}
        onError={() => (state.value = "none")}
      />
    </>
  );
}

export function PreviewDialog({ shown, onClose }: { shown: Shown; onClose: () => void }) {
  const model = useModel();
  return (
    <Dialog title={shown.name} class="preview" onClose={onClose}>
      <div class="sheet">{isText(shown, model.catalogue.value) ? <Words shown={shown} /> : <Picture shown={shown} />}</div>
      <div class="buttons">
        <button type="button" class="primary" onClick={() => void model.download(shown.jobId)}>
          {t("row.download")}
        </button>
      </div>
    </Dialog>
  );
}
