// The question before something that can't be taken back.

import { t } from "../text";
import { Dialog } from "./Dialog";

interface Props {
  title: string;
  question: string;
  yes: string;
  onYes: () => void;
  onClose: () => void;
}

export function Sure({ title, question, yes, onYes, onClose }: Props) {
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{question}</p>
      <div class="buttons">
        <button type="button" onClick={onClose}>
          {t("sure.no")}
        </button>
        <button
          type="button"
          class="danger"
          onClick={() => {
            onClose();
            onYes();
          }}
        >
          {yes}
        </button>
      </div>
    </Dialog>
  );
}
