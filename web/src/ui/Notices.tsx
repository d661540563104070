import { t, tOr } from "../text";
import { useModel } from "./context";
import { Icon } from "./Icon";
import { problem } from "./words";

export function Notices() {
  const model = useModel();
  const limits = model.session.value?.limits;

  return (
    <div class="notices" aria-live="polite">
      {model.connection.value === "lost" && <p class="notice problem">{t("notice.lost")}</p>}
      {model.notices.value.map((notice) => (
        <div key={notice} class={`notice ${notice.kind}`}>
          <p>{notice.problem ? problem(notice.problem, limits) : tOr(`notice.${notice.text}`, notice.text, notice.values)}</p>
          <button type="button" class="bare" aria-label={t("notice.dismiss")} onClick={() => model.dismiss(notice)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
