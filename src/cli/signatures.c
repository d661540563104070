#include "cli/signatures.h"

#include "core/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

bool signatures_installed(void)
{
    static const char *const files[] = {
        SIGNATURES_SYSTEM_DIR "/main.cvd",
        SIGNATURES_SYSTEM_DIR "/main.cld",
        SIGNATURES_SYSTEM_DIR "/daily.cvd",
        SIGNATURES_SYSTEM_DIR "/daily.cld",
    };

    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (access(files[i], R_OK) == 0)
            return true;
    return false;
}

/* An extended signature (ClamAV manual, "Body-based signatures"): name, any file type, any offset, the bytes
 * of EICAR's test string in hex. Spelled in hex so that no scanner trips over this file. */
int signatures_write_test(int dirfd, const char *name)
{
    static const char database[] = "Eicar-Test-Signature:0:*:"
                                   "58354f2150254041505b345c505a58353428505e2937434329377d24"
                                   "45494341522d5354414e444152442d414e544956495255532d544553542d46494c452124"
                                   "482b482a\n";
    _cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0)
        return -errno;
    return write(fd, database, strlen(database)) == (ssize_t)strlen(database) ? 0 : -EIO;
}
