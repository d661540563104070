#include "files/clamd_probe.h"

#include "core/buf.h"
#include "core/str.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <zlib.h>

/* clamd's own MaxRecursion is 17 unless set, and 100 at the most. A ZIP archive without extensions ends at 4
 * GiB; clamd's largest MaxFileSize lies below. */
enum { DEPTH = 110, TEXT_MAX = 320, MEMBER_MAX = 64 << 10 };
#define LARGEST (UINT64_C(4000) << 20)

struct clamd_probe {
    struct clamd *clamd;
    const struct clamd_demands *demands;
    clamd_probe_fn *fn;
    void *arg;
    size_t step;
    struct clamd_scan *scan;
    int fd;
    char remark[TEXT_MAX];
};

/* --- the files */

static void put_eicar(struct buf *b)
{
    /* In two pieces, so that no program of ours holds it. */
    buf_append_str(b, "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STAND");
    buf_append_str(b, "ARD-ANTIVIRUS-TEST-FILE!$H+H*");
}

static void put_le(struct buf *b, uint32_t value, unsigned bytes)
{
    for (; bytes > 0; bytes--, value >>= 8)
        buf_append(b, (const unsigned char[]){(unsigned char)value}, 1);
}

/* One member of an archive (APPNOTE.TXT 4.3.7 and 4.3.12). */
struct member {
    const char *name;
    bool encrypted;
    uint32_t method, crc, packed, size, offset;
};

static void put_common(struct buf *b, const struct member *m)
{
    put_le(b, 20, 2);
    put_le(b, m->encrypted ? 1 : 0, 2);
    put_le(b, m->method, 2);
    put_le(b, 0x210000, 4); /* 1980-01-01 */
    put_le(b, m->crc, 4);
    put_le(b, m->packed, 4);
    put_le(b, m->size, 4);
    put_le(b, (uint32_t)strlen(m->name), 2);
    put_le(b, 0, 2);
}

static void put_local(struct buf *b, const struct member *m)
{
    put_le(b, 0x04034b50, 4);
    put_common(b, m);
    buf_append_str(b, m->name);
}

static void put_directory(struct buf *b, const struct member *members, uint32_t n, uint32_t at)
{
    size_t start = b->len;
    uint32_t length;

    for (uint32_t i = 0; i < n; i++) {
        put_le(b, 0x02014b50, 4);
        put_le(b, 20, 2);
        put_common(b, &members[i]);
        for (int zeros = 0; zeros < 5; zeros++)
            put_le(b, 0, 2);
        put_le(b, members[i].offset, 4);
        buf_append_str(b, members[i].name);
    }
    length = (uint32_t)(b->len - start);
    put_le(b, 0x06054b50, 4);
    put_le(b, 0, 4);
    put_le(b, n, 2);
    put_le(b, n, 2);
    put_le(b, length, 4);
    put_le(b, at, 4);
    put_le(b, 0, 2);
}

/* `data` in an archive of its own, deflated: what is only stored would be seen from outside. */
static int wrap(struct buf *data, bool encrypted)
{
    unsigned char packed[MEMBER_MAX];
    z_stream z = {.next_in = (unsigned char *)data->data,
                  .avail_in = (unsigned)data->len,
                  .next_out = packed,
                  .avail_out = sizeof packed};
    struct member m = {.name = "file.zip",
                       .encrypted = encrypted,
                       .method = Z_DEFLATED,
                       .crc = (uint32_t)crc32(0, (const unsigned char *)data->data, (unsigned)data->len),
                       .size = (uint32_t)data->len};
    int r;

    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    r = deflate(&z, Z_FINISH);
    deflateEnd(&z);
    if (r != Z_STREAM_END)
        return -EMSGSIZE;
    m.packed = (uint32_t)z.total_out;
    buf_consume(data, data->len);
    put_local(data, &m);
    buf_append(data, packed, m.packed);
    put_directory(data, &m, 1, (uint32_t)data->len);
    return buf_error(data);
}

static int write_at(int fd, const struct buf *b, uint64_t at)
{
    if (buf_error(b))
        return buf_error(b);
    return pwrite(fd, b->data, b->len, (off_t)at) == (ssize_t)b->len ? 0 : -EIO;
}

static int make_eicar(int fd, const struct clamd_demands *demands)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MEMBER_MAX);

    put_eicar(&b);
    return write_at(fd, &b, 0);
}

static int make_deep(int fd, const struct clamd_demands *demands)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MEMBER_MAX);
    int r = 0;

    put_eicar(&b);
    for (int i = 0; i < DEPTH && r == 0; i++)
        r = wrap(&b, false);
    return r < 0 ? r : write_at(fd, &b, 0);
}

static int make_encrypted(int fd, const struct clamd_demands *demands)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MEMBER_MAX);
    int r;

    buf_append_str(&b, "nobody can tell what this is");
    r = wrap(&b, true);
    return r < 0 ? r : write_at(fd, &b, 0);
}

/* EICAR, then as many zeros as are missing: a hole, which takes no memory. EICAR first, so that clamd is done
 * once it has found that the file is not too large. */
static int make_large(int fd, const struct clamd_demands *demands)
{
    _cleanup_buf_ struct buf eicar = BUF_INIT(MEMBER_MAX), head = BUF_INIT(MEMBER_MAX),
                             tail = BUF_INIT(MEMBER_MAX);
    struct member members[] = {{.name = "eicar.com"}, {.name = "zeros"}};
    const uint64_t around = 512; /* more than all the headers */
    uint64_t total = demands->file_bytes < LARGEST ? demands->file_bytes : LARGEST, at;
    int r;

    put_eicar(&eicar);
    members[0].packed = members[0].size = (uint32_t)eicar.len;
    members[0].crc = (uint32_t)crc32(0, (const unsigned char *)eicar.data, (unsigned)eicar.len);
    members[1].packed = members[1].size = total > around ? (uint32_t)(total - around) : 0;
    put_local(&head, &members[0]);
    buf_append(&head, eicar.data, eicar.len);
    members[1].offset = (uint32_t)head.len;
    put_local(&head, &members[1]);
    at = head.len + members[1].size;
    put_directory(&tail, members, ARRAY_SIZE(members), (uint32_t)at);
    r = write_at(fd, &head, 0);
    return r < 0 ? r : write_at(fd, &tail, at);
}

/* --- the steps */

#define ACCEPT(verdict) (1U << (verdict))

static const struct step {
    int (*make)(int fd, const struct clamd_demands *demands);
    unsigned accepted;
    const char *otherwise;
    enum clamd_verdict remarkable; /* and accepted too */
    const char *remark;
} steps[] = {
    {make_eicar, ACCEPT(CLAMD_INFECTED), "clamd does not find the EICAR test file: it needs signatures",
     CLAMD_INFECTED, NULL},
    {make_deep, ACCEPT(CLAMD_INFECTED) | ACCEPT(CLAMD_INCOMPLETE),
     "clamd passes what it can't look through: set AlertExceedsMax yes in its configuration", CLAMD_INFECTED,
     NULL},
    {make_encrypted, ACCEPT(CLAMD_CLEAN),
     "clamd passes encrypted archives: set AlertEncrypted yes in its configuration, or "
     "DECANT_SCAN_ENCRYPTED=allow",
     CLAMD_ENCRYPTED, "encrypted files will be refused: clamd has AlertEncrypted set"},
    {make_large, ACCEPT(CLAMD_INFECTED),
     "clamd passes files as large as DECANT_MAX_UPLOAD unseen: set AlertExceedsMax yes in its configuration, "
     "and raise MaxFileSize and MaxScanSize",
     CLAMD_INCOMPLETE,
     "files as large as DECANT_MAX_UPLOAD will be refused: raise MaxFileSize and MaxScanSize of clamd"},
};

#define TOO_LARGE_REMARK                                                                                     \
    "files as large as DECANT_MAX_UPLOAD have no verdict: raise StreamMaxLength of clamd (or it is slow)"

static void end(struct clamd_probe *p, enum clamd_fitness fitness, const char *text)
{
    clamd_probe_fn *fn = p->fn;
    void *arg = p->arg;
    char copy[TEXT_MAX];

    snprintf(copy, sizeof copy, "%s", text);
    cleanup_close(&p->fd);
    free(p);
    fn(arg, fitness, copy);
}

static void on_verdict(void *arg, enum clamd_verdict verdict, const char *detail);

static int try(struct clamd_probe *p)
{
    int r;

    cleanup_close(&p->fd);
    p->fd = memfd_create("clamd-probe", MFD_CLOEXEC);
    if (p->fd < 0)
        return -errno;
    r = steps[p->step].make(p->fd, p->demands);
    if (r < 0)
        return r;
    p->scan = clamd_scan_start(p->clamd, p->fd, p->demands->timeout_ms, on_verdict, p);
    return p->scan ? 0 : -ENOMEM;
}

static void remark(struct clamd_probe *p, const char *text)
{
    size_t len = strlen(p->remark);

    snprintf(p->remark + len, sizeof p->remark - len, "%s%s", len > 0 ? "; " : "", text);
}

/* Is what would be remarkable demanded here? */
static bool is_wanted(const struct clamd_probe *p)
{
    return steps[p->step].make == make_encrypted && p->demands->refuse_encrypted;
}

static unsigned accepted(const struct clamd_probe *p)
{
    const struct step *step = &steps[p->step];

    return (is_wanted(p) ? 0 : step->accepted) | ACCEPT(step->remarkable);
}

static void on_verdict(void *arg, enum clamd_verdict verdict, const char *detail)
{
    struct clamd_probe *p = arg;
    const struct step *step = &steps[p->step];
    bool last = p->step + 1 == ARRAY_SIZE(steps);
    int r = 0;

    p->scan = NULL;
    if (verdict == CLAMD_UNAVAILABLE && !last) {
        end(p, CLAMD_UNTRIED, detail);
        return;
    }
    if (verdict == CLAMD_UNAVAILABLE) { /* no pass either */
        remark(p, TOO_LARGE_REMARK);
    } else if (!(accepted(p) & ACCEPT(verdict))) {
        end(p, CLAMD_UNFIT, step->otherwise);
        return;
    } else if (step->remark && verdict == step->remarkable && !is_wanted(p)) {
        remark(p, step->remark);
    }
    p->step++;
    if (!last)
        r = try(p);
    if (r < 0)
        end(p, CLAMD_UNTRIED, strerror(-r)); // NOLINT(concurrency-mt-unsafe): glibc's is
    else if (last)
        end(p, CLAMD_FIT, p->remark);
}

struct clamd_probe *clamd_probe_start(struct clamd *c, const struct clamd_demands *demands,
                                      clamd_probe_fn *fn, void *arg)
{
    struct clamd_probe *p = malloc(sizeof *p);

    if (!p)
        return NULL;
    *p = (struct clamd_probe){.clamd = c, .demands = demands, .fn = fn, .arg = arg, .fd = -1};
    if (try(p) == 0)
        return p;
    cleanup_close(&p->fd);
    free(p);
    return NULL;
}

void clamd_probe_cancel(struct clamd_probe *p)
{
    clamd_scan_cancel(p->scan);
    cleanup_close(&p->fd);
    free(p);
}
