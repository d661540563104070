/* Which virus signatures a private clamd can have: the system's, or a test database of our own. */
#pragma once

#include <stdbool.h>

/* Where freshclam keeps what it has fetched. */
#define SIGNATURES_SYSTEM_DIR "/var/lib/clamav"

/* Is a whole signature database there that we can read? */
bool signatures_installed(void);

/* What is missing and how to get it, for logs and `decant doctor`. */
#define SIGNATURES_ADVICE                                                                                    \
    "real virus signatures are missing: only the EICAR test file will be found. Install clamav-freshclam, "  \
    "run freshclam until "                                                                                   \
    "/var/lib/clamav holds main.cvd and daily.cvd, and start again"

/* Writes the test database (it knows EICAR and nothing else) as `name` below `dirfd`. 0 or -errno. */
int signatures_write_test(int dirfd, const char *name);
