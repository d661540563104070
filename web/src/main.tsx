import { render } from "preact";
import { createModel } from "./model/create";
import "./style/base.css";
import "./style/controls.css";
import "./style/page.css";
import "./style/rows.css";
import { formatLabel, language, t } from "./text";
import { App } from "./ui/App";
import { ModelContext } from "./ui/context";

document.documentElement.lang = language;

const model = createModel({
  announce: (completed, failed) => ({
    title: t("notify.done", { count: completed }),
    body: failed > 0 ? t("notify.failed", { count: failed }) : "",
  }),
  formatLabel,
});
const root = document.getElementById("app");

if (root)
  render(
    <ModelContext.Provider value={model}>
      <App />
    </ModelContext.Provider>,
    root,
  );
void model.start();
