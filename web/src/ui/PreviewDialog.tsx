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
const TRIES = 2;
const TRY_AGAIN_MS = 4000;

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
  const category = categoryOf(shown.format, catalogue);
  return WRITTEN.has(category) || (shown.mimeType.startsWith("text/") && !DRAWN.has(category));
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
      <pre dir="auto">{text.value}</pre>
      {new TextEncoder().encode(text.value).length > TEXT_BYTES - 4 && <p class="fine">{t("preview.cut", { size: size(TEXT_BYTES) })}</p>}
    </>
  );
}

/** Drawing it may take longer than the server lets a request wait: another try finds it done. */
export function Drawn({ jobId, pixels, alt, onShown, onNone }: { jobId: string; pixels: number; alt: string; onShown?: () => void; onNone: () => void }) {
  const model = useModel();
  const tries = useSignal(0);
  const again = () => {
    if (tries.value === TRIES) onNone();
    else setTimeout(() => tries.value++, TRY_AGAIN_MS);
  };
  return <img key={tries.value} src={model.previewUrl(jobId, pixels)} alt={alt} loading="lazy" onLoad={onShown} onError={again} />;
}

function Picture({ shown }: { shown: Shown }) {
  const state = useSignal<"loading" | "shown" | "none">("loading");

  if (state.value === "none") return <p role="status">{t("preview.none")}</p>;
  return (
    <>
      {state.value === "loading" && <p role="status">{t("preview.loading")}</p>}
      <Drawn
        jobId={shown.jobId}
        pixels={PIXELS}
        alt={t("preview.alt", { name: shown.name })}
        onShown={() => (state.value = "shown")}
        onNone={() => (state.value = "none")}
      />
    </>
  );
}

export function PreviewDialog({ shown, onClose }: { shown: Shown; onClose: () => void }) {
  const model = useModel();
  return (
    <Dialog title={shown.name} class="preview" onClose={onClose}>
      <div class="sheet" role="region" aria-label={shown.name} tabIndex={0}>
        {isText(shown, model.catalogue.value) ? <Words shown={shown} /> : <Picture shown={shown} />}
      </div>
      <div class="buttons">
        <button type="button" class="primary" onClick={() => void model.download(shown.jobId)}>
          {t("row.download")}
        </button>
      </div>
    </Dialog>
  );
}
