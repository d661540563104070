// German, all of it: loaded by who reads it, and by nobody else.

import type { Language } from "../index";
import { formats } from "./formats";
import { choices, options } from "./options";
import { words } from "./words";

export const german: Language = { words, formats, options, choices };
