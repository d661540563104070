// The server's time. Sessions and links end by its clock, and the computer's may be wrong by hours.

export interface Clock {
  /** Milliseconds since 1970, as the server would say. */
  now(): number;
  /** The server has just said that it is `time`. */
  is(time: string): void;
  /** It is some time between these: what a live session says. */
  isWithin(from: string, to: string): void;
}

/** What is left of a session that should have been over for some minutes, and isn't: nobody knows, so let it be a while. */
const UNSURE_MS = 60_000;
const MINUTES_MS = 600_000;

export function createClock(local: () => number): Clock {
  let ahead = 0;
  const now = () => local() + ahead;
  const set = (time: number) => {
    if (Number.isFinite(time)) ahead = time - local();
  };

  return {
    now,
    is: (time) => set(Date.parse(time)),
    isWithin(from, to) {
      if (now() < Date.parse(from)) set(Date.parse(from));
      else if (now() >= Date.parse(to) + MINUTES_MS) set(Date.parse(from)); /* this clock is far off: rather no alarm than a false one */
      else if (now() >= Date.parse(to)) set(Date.parse(to) - UNSURE_MS);
    },
  };
}
