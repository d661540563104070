import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useCallback } from "preact/hooks";
import { t } from "../text";
import { useModel } from "./context";
import { DropZone } from "./DropZone";
import { Header } from "./Header";
import { History } from "./History";
import { Icon } from "./Icon";
import { List } from "./List";
import { Notices } from "./Notices";
import { PreviewDialog, type Shown } from "./PreviewDialog";

/** The tab says how far all of it is, for who looks at another one. */
function useTitle() {
  const model = useModel();
  useSignalEffect(() => {
    const { running, percent } = model.overall.value;
    document.title = running > 0 ? `${Math.round(percent)} % · ${t("title")}` : t("title");
  });
}

function Footer() {
  return (
    <footer>
      <p>{t("description")}</p>
      <p>
        <a href="/docs">{t("footer.api")}</a> · <a href="/licenses.txt">{t("footer.licenses")}</a>
      </p>
    </footer>
  );
}

export function App() {
  const model = useModel();
  const shown = useSignal<Shown | null>(null);
  const show = useCallback((shows: Shown) => (shown.value = shows), []);
  const busy = useComputed(() => model.items.value.length > 0).value;
  useTitle();

  return (
    <>
      <a class="skip" href="#main">
        {t("skip")}
      </a>
      <Header />
      <main id="main" tabIndex={-1}>
        <Notices />
        <DropZone compact={busy} />
        {busy && <List onPreview={show} />}
        <History onPreview={show} />
      </main>
      <Footer />
      {shown.value && <PreviewDialog shown={shown.value} onClose={() => (shown.value = null)} />}
      <div class="veil" aria-hidden="true">
        <Icon name="upload" /> {t("drop.now")}
      </div>
    </>
  );
}
