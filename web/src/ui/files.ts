// Files out of what was dropped, pasted or chosen; folders are opened, with all that is in them.

const MOST_FILES = 1000; /* of one folder: whoever drops a home directory gets its beginning, and not a frozen page */

/** Nobody means to convert what a program hides in a folder. */
const isPlain = (name: string) => !name.startsWith(".");

async function entriesOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    // Browsers give a hundred at a time, and none at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0 || all.length >= MOST_FILES) return all;
    all.push(...some);
  }
}

async function collect(entry: FileSystemEntry, into: File[]): Promise<void> {
  if (into.length >= MOST_FILES) return;
  if (entry.isFile) {
    into.push(await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)));
  } else {
    for (const inner of await entriesOf(entry as FileSystemDirectoryEntry)) if (isPlain(inner.name)) await readable(inner, into);
  }
}

/** What can't be read is left out, and nothing else with it. */
async function readable(entry: FileSystemEntry, into: File[]): Promise<void> {
  await collect(entry, into).catch(() => undefined);
}

/** Must be called within the event, as what it holds is gone after it. */
export async function filesOf(transfer: DataTransfer): Promise<File[]> {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const files: File[] = [];
  for (const entry of entries) {
    if (entry instanceof File) files.push(entry);
    else if (entry) await readable(entry, files);
  }
  return files;
}

/** By the browser's dialog: of a folder as many as are taken by dropping it. */
export function filesChosen(field: HTMLInputElement): File[] {
  const files = [...(field.files ?? [])];
  return field.webkitdirectory ? files.filter((file) => isPlain(file.name)).slice(0, MOST_FILES) : files;
}

export function carriesFiles(transfer: DataTransfer | null): boolean {
  return transfer?.types.includes("Files") ?? false;
}
