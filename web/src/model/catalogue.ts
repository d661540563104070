// What can become what, as GET /formats says it.

import type { Environment } from "./environment";
import type { Catalogue, TargetGroup } from "./model";
import type { Format, Formats, OptionSpec } from "./types";

const LIKELY = 6;

/** How well a target of these labels fits what was typed: the less the better, null not at all. */
function rank(id: string, format: Format | undefined, labels: readonly string[], words: readonly string[]): number | null {
  const names = [id, ...(format?.extensions ?? [])];
  let worst = 0;
  for (const word of words) {
    if (names.includes(word)) continue;
    else if (names.some((name) => name.startsWith(word))) worst = Math.max(worst, 1);
    else if (labels.some((label) => ` ${label}`.includes(` ${word}`))) worst = Math.max(worst, 2);
    else if ([...labels, ...names].some((name) => name.includes(word))) worst = Math.max(worst, 3);
    else return null;
  }
  return worst;
}

export function createCatalogue(formats: Formats, formatLabel: Environment["formatLabel"]): Catalogue {
  const byExtension = new Map<string, string>();
  for (const [id, format] of Object.entries(formats.formats))
    if (format.targets.length > 0) for (const extension of format.extensions) if (!byExtension.has(extension)) byExtension.set(extension, id);

  const format = (id: string) => (Object.hasOwn(formats.formats, id) ? formats.formats[id] : undefined);
  const english = (id: string) => format(id)?.label ?? id.toUpperCase();
  const label = (id: string) => formatLabel(id, english(id));
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
      // In both languages: who knows it by its English name finds it by that.
      const labels = [label(id), english(id)].map((each) => each.toLowerCase());
      const place = rank(id, format(id), labels, words);
      return place === null ? [] : [{ id, place }];
    });
    return byCategory(ranked.sort((a, b) => a.place - b.place).map(({ id }) => id)); /* a stable sort: the likelier first */
  }

  /** What most of these can become comes first, then what is likeliest: by the mean of its places among their targets. */
  function ofMany(sources: readonly string[]): string[] {
    const found = new Map<string, { files: number; places: number }>();
    for (const source of sources)
      for (const [place, id] of (format(source)?.targets ?? []).entries()) {
        const { files, places } = found.get(id) ?? { files: 0, places: 0 };
        found.set(id, { files: files + 1, places: places + place });
      }
    return [...found].sort(([, a], [, b]) => b.files - a.files || a.places / a.files - b.places / b.files).map(([id]) => id);
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
    targets(sources, query) {
      const targets = ofMany(sources);
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
