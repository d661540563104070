// Line icons of 24 units, drawn with the colour of the text around. They say nothing by themselves: buttons have names.

const PATHS = {
  upload: "M12 16V4m0 0L7 9m5-5 5 5M4 16v3a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-3",
  download: "M12 4v12m0 0 5-5m-5 5-5-5M4 16v3a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-3",
  arrow: "M5 12h14m0 0-5-5m5 5-5 5",
  chevron: "m7 10 5 5 5-5",
  options: "M4 7h9m4 0h3M4 17h3m4 0h9M15 5v4M9 15v4",
  close: "M6 6l12 12M18 6 6 18",
  retry: "M20 11a8 8 0 1 0-2.300 6M20 5v6h-6",
  eye: "M2.500 12S6 5.500 12 5.500 21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12Zm9.500 3a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z",
  trash: "M4 7h16M9 7V4h6v3m-8 0 1 13h8l1-13M10 11v5m4-5v5",
  check: "m5 12.500 4.500 4.500L19 7.500",
  warn: "M12 4 2.500 20h19L12 4Zm0 6v5m0 2.500v.5",
  folder: "M3 7a1 1 0 0 1 1-1h5l2 2h9a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V7Z",
  bell: "M6 16V11a6 6 0 1 1 12 0v5l1.500 2h-15L6 16Zm4 4.500h4",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm5-2 4.500 4.500",
  merge: "M5 4v4c0 4 7 4 7 9v3m0-3c0-5 7-5 7-9V4M8.500 16.500 12 20l3.500-3.500",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-8 8.500c.5-4 3.500-6 8-6s7.500 2 8 6",
  history: "M4 12a8 8 0 1 0 2.300-5.600L4 8.500M4 4v4.500h4.500M12 8v4.500l3 2",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="7" />
      <path class="wine" d="M9.500 20.500h13c.3.6.5 1.100.5 1.600 0 2.200-2.600 3.200-7 3.200s-7-1-7-3.200c0-.5.2-1 .5-1.600Z" />
      <path
        class="glass"
        d="M12.500 6h7M14 6v6.200c0 1.400-.6 2.500-2 3.600-2.600 2-4 4.100-4 6.200 0 3 3.200 4.500 8 4.500s8-1.500 8-4.500c0-2.100-1.400-4.200-4-6.200-1.400-1.100-2-2.200-2-3.600V6"
      />
    </svg>
  );
}
