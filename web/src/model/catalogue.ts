// What can become what, as GET /formats says it.

import type { Catalogue, TargetGroup } from "./model";
import type { Format, Formats, OptionSpec } from "./types";

const LIKELY = 6;

/** How well a target fits what was typed: the less the better, null not at all. */
function rank(id: string, format: Format | undefined, words: readonly string[]): number | null {
  const names = [id, ...(format?.extensions ?? [])];
  const label = format?.label.toLowerCase() ?? "";
  let worst = 0;
  for (const word of words) {
    if (names.includes(word)) continue;
    else if (names.some((name) => name.startsWith(word))) worst = Math.max(worst, 1);
    else if (` ${label}`.includes(` ${word}`)) worst = Math.max(worst, 2);
    else if (label.includes(word) || names.some((name) => name.includes(word))) worst = Math.max(worst, 3);
    else return null;
  }
  return worst;
}

export function createCatalogue(formats: Formats): Catalogue {
  const byExtension = new Map<string, string>();
  for (const [id, format] of Object.entries(formats.formats))
    if (format.targets.length > 0) for (const extension of format.extensions) if (!byExtension.has(extension)) byExtension.set(extension, id);

  const format = (id: string) => (Object.hasOwn(formats.formats, id) ? formats.formats[id] : undefined);
  const label = (id: string) => format(id)?.label ?? id.toUpperCase();
  const entry = (id: string) => ({ id, label: label(id) });

  /** In the order in which categories come. */
  function byCategory(targets: readonly string[]): TargetGroup[] {
    const groups = new Map<string, TargetGroup>();
    for (const id of targets) {
      const category = format(id)?.category ?? "";
      const group = groups.get(category) ?? { category, targets: [] };
      group.targets.push(entry(id));
      groups.set(category, group);
    }
    return [...groups.values()];
  }

  function all(targets: readonly string[]): TargetGroup[] {
    const likely = targets.slice(0, LIKELY);
    return likely.length === 0 ? [] : [{ category: "likely", targets: likely.map(entry) }, ...byCategory(targets.slice(LIKELY))];
  }

  function found(targets: readonly string[], words: readonly string[]): TargetGroup[] {
    const ranked = targets.flatMap((id) => {
      const place = rank(id, format(id), words);
      return place === null ? [] : [{ id, place }];
    });
    return byCategory(ranked.sort((a, b) => a.place - b.place).map(({ id }) => id)); /* a stable sort: the likelier first */
  }

  return {
    formats,
    label,
    formatOf(filename) {
      const name = filename.toLowerCase();
      // From the left, so that "a.tar.gz" is found before "gz"; a name that is nothing but an extension has none.
      for (let dot = name.indexOf(".", 1); dot >= 0; dot = name.indexOf(".", dot + 1)) {
        const id = byExtension.get(name.slice(dot + 1));
        if (id) return id;
      }
      return null;
    },
    targets(source, query) {
      const targets = format(source)?.targets ?? [];
      const words = query
        .toLowerCase()
        .split(/[\s.]+/)
        .filter(Boolean);
      return words.length === 0 ? all(targets) : found(targets, words);
    },
    reaches: (source, target) => format(source)?.targets.includes(target) ?? false,
    options(source, target) {
      const specs = new Map<string, OptionSpec>();
      for (const id of format(source)?.options[target] ?? []) {
        const spec = formats.options[id];
        if (spec && !specs.has(spec.name)) specs.set(spec.name, spec);
      }
      return [...specs.values()];
    },
  };
}
