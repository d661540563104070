/* The lines of catalogue.inc (catalogue.c says what they are), for whoever has defined those that it wants:
 * the others are left out, and all are undefined afterwards. To be included once for each table. */
#ifndef ENGINE
#define ENGINE(engine, family)
#endif
#ifndef STEP
#define STEP(engine, from, to, cost, fidelity, embedded, follows, asked_by, turn)
#endif
#ifndef GATHER
#define GATHER(engine, format)
#endif
#ifndef SCATTER
#define SCATTER(engine, format)
#endif
#ifndef OPTION
#define OPTION(engine, name, kind, sources, targets, min, max, fallback, label, choices, chosen)
#endif
#ifndef PASSWORD
#define PASSWORD(engine, sources)
#endif
#ifndef PROGRAM
#define PROGRAM(engine, path)
#endif

#include "catalogue.inc"

#undef ENGINE
#undef STEP
#undef GATHER
#undef SCATTER
#undef OPTION
#undef PASSWORD
#undef PROGRAM
