/* Raw system calls, as there is no library, and constants of our own, as the build machine's headers may be
 * older than the kernel that this runs on. Source: Documentation/userspace-api/landlock.rst. */
#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_REFER = 1 << 13,    /* since version 2 */
    FS_TRUNCATE = 1 << 14, /* 3 */
    FS_IOCTL_DEV = 1 << 15 /* 5 */
};
enum { NET_BIND_TCP = 1 << 0, NET_CONNECT_TCP = 1 << 1 };       /* 4 */
enum { SCOPE_ABSTRACT_SOCKET = 1 << 0, SCOPE_SIGNAL = 1 << 1 }; /* 6 */
enum { CREATE_RULESET_VERSION = 1, RULE_PATH_BENEATH = 1, RULE_NET_PORT = 2 };

struct ruleset_attr {
    uint64_t fs, net, scoped;
};

struct path_attr {
    uint64_t access;
    int32_t parent_fd;
} __attribute__((packed));

struct port_attr {
    uint64_t access, port;
};

/* What a regular file, as opposed to a folder, can be granted. */
static const uint64_t file_rights = FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV | FS_EXECUTE;

static uint64_t known_rights(int abi)
{
    /* 13 rights in version 1, then one more in 2, 3 and 5. */
    unsigned n = 13 + (abi >= 2) + (abi >= 3) + (abi >= 5);

    return (UINT64_C(1) << n) - 1;
}

int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

    return abi < 0 ? -errno : (int)abi;
}

int landlock_begin(int abi)
{
    struct ruleset_attr attr = {
        .fs = known_rights(abi),
        .net = NET_BIND_TCP | NET_CONNECT_TCP,
        .scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL,
    };
    size_t size = abi >= 6                    ? sizeof attr
                  : abi >= LANDLOCK_ABI_PORTS ? sizeof(uint64_t) * 2
                                              : sizeof(uint64_t);
    long fd = syscall(SYS_landlock_create_ruleset, &attr, size, 0);

    return fd < 0 ? -errno : (int)fd;
}

static uint64_t rights_for(enum landlock_access access, int abi)
{
    uint64_t rights = FS_READ_DIR;

    if (access != LANDLOCK_LIST)
        rights |= FS_READ_FILE;
    if (access == LANDLOCK_EXECUTE)
        rights |= FS_EXECUTE;
    if (access == LANDLOCK_WRITE_FILE)
        rights |= FS_WRITE_FILE;
    if (access == LANDLOCK_READ_WRITE)
        rights |= FS_MAKE_DIR | FS_REMOVE_DIR;
    if (access == LANDLOCK_READ_WRITE || access == LANDLOCK_WRITE_FILES)
        rights |= FS_WRITE_FILE | FS_REMOVE_FILE | FS_MAKE_REG | FS_REFER | FS_TRUNCATE;
    return rights & known_rights(abi);
}

int landlock_allow(int ruleset, int abi, const char *path, enum landlock_access access, bool optional)
{
    struct path_attr attr = {.access = rights_for(access, abi)};
    _cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return optional && (errno == ENOENT || errno == EACCES || errno == ENOTDIR) ? 0 : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        attr.access &= file_rights;
    attr.parent_fd = fd;
    if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &attr, 0) < 0)
        return -errno;
    return 0;
}

int landlock_allow_connect(int ruleset, int abi, unsigned port)
{
    struct port_attr attr = {.access = NET_CONNECT_TCP, .port = port};

    if (abi < LANDLOCK_ABI_PORTS)
        return 0;
    return syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &attr, 0) < 0 ? -errno : 0;
}

int landlock_enter(int ruleset)
{
    return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}
