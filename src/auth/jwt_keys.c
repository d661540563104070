#include "auth/jwt_keys.h"

#include "core/clock.h"
#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <sodium.h>
#include <sys/stat.h>
#include <time.h>

enum { PEM_MAX = 16 * 1024 };

#define EXTENSION ".pem"

struct key {
    char kid[JWT_KID_MAX + 1];
    struct timespec made;
    char *private, *public; /* PEM */
    json_t *jwk;
};

/* The keys of a folder, the newest last. */
struct ring {
    struct key keys[JWT_KEYS_MAX];
    size_t n;
};

struct jwt_keys {
    const char *folder;
    pthread_rwlock_t lock;
    struct ring ring;
};

static void key_clear(struct key *key)
{
    cleanup_secret(&key->private);
    free(key->public);
    json_decref(key->jwk);
    *key = (struct key){0};
}

static void ring_clear(struct ring *ring)
{
    for (size_t i = 0; i < ring->n; i++)
        key_clear(&ring->keys[i]);
    ring->n = 0;
}

static void cleanup_pkey(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void cleanup_bio(BIO **bio)
{
    BIO_free(*bio);
}

static void cleanup_bn(BIGNUM **bn)
{
    BN_clear_free(*bn);
}

#define _cleanup_pkey_ _cleanup_(cleanup_pkey)
#define _cleanup_bio_  _cleanup_(cleanup_bio)
#define _cleanup_bn_   _cleanup_(cleanup_bn)

/* --- what is in a folder */

struct listed {
    char name[JWT_KID_MAX + sizeof EXTENSION];
    struct timespec made;
};

struct listing {
    struct listed files[JWT_KEYS_MAX];
    size_t n;
};

static int fail(struct jwt_trouble *trouble, const char *file, int r, const char *why)
{
    snprintf(trouble->file, sizeof trouble->file, "%s", file);
    trouble->why = why;
    return r;
}

/* Files of other names, such as one that is being written, are none of ours. */
static bool is_key_name(const char *name)
{
    size_t len = strlen(name), end = strlen(EXTENSION);

    return *name != '.' && len > end && str_eq(name + len - end, EXTENSION);
}

static bool is_kid(const char *s, size_t len)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    return len > 0 && len <= JWT_KID_MAX && strspn(s, good) >= len;
}

static int by_age(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;

    if (x->made.tv_sec != y->made.tv_sec)
        return x->made.tv_sec < y->made.tv_sec ? -1 : 1;
    if (x->made.tv_nsec != y->made.tv_nsec)
        return x->made.tv_nsec < y->made.tv_nsec ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int list_file(int dirfd, const char *name, struct listing *ret, struct jwt_trouble *trouble)
{
    struct listed *file = &ret->files[ret->n];
    struct stat st;

    if (!is_kid(name, strlen(name) - strlen(EXTENSION)))
        return fail(trouble, name, -EBADMSG,
                    "A key's name may be 64 letters, digits, '-' and '_', and then .pem.");
    if (ret->n == JWT_KEYS_MAX)
        return fail(trouble, "", -EMFILE, "There are more than 16 keys; remove the oldest.");
    if (fstatat(dirfd, name, &st, 0) < 0)
        return fail(trouble, name, -errno, "The file can't be read.");
    if (st.st_mode & 077)
        return fail(trouble, name, -EPERM,
                    "Others may read the key: chmod 600 it, or better make another one and remove it.");
    snprintf(file->name, sizeof file->name, "%s", name);
    file->made = st.st_mtim;
    ret->n++;
    return 0;
}

static int list_folder(int dirfd, struct listing *ret, struct jwt_trouble *trouble)
{
    _cleanup_closedir_ DIR *dir = NULL;
    int r = path_open_dir(dirfd, ".", &dir);

    if (r < 0)
        return fail(trouble, "", r, "The folder can't be read.");
    *ret = (struct listing){0};
    errno = 0;
    for (const struct dirent *e; r == 0 && (e = readdir(dir)); errno = 0)
        if (is_key_name(e->d_name))
            r = list_file(dirfd, e->d_name, ret, trouble);
    if (r == 0 && errno != 0)
        r = fail(trouble, "", -errno, "The folder can't be read.");
    qsort(ret->files, ret->n, sizeof ret->files[0], by_age);
    return r;
}

/* --- one key */

/* There is nobody to ask for a passphrase. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    return -1;
}

static EVP_PKEY *parse_pem(const char *pem)
{
    _cleanup_bio_ BIO *bio = BIO_new_mem_buf(pem, -1);
    _cleanup_pkey_ EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

    if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key) < JWT_KEY_BITS_MIN ||
        EVP_PKEY_get_bits(key) > JWT_KEY_BITS_MAX)
        return NULL;
    return TAKE_PTR(key);
}

static char *text_of(BIO *bio)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);

    return len > 0 ? strndup(data, (size_t)len) : NULL;
}

static char *public_pem(const EVP_PKEY *key)
{
    _cleanup_bio_ BIO *bio = BIO_new(BIO_s_mem());

    return bio && PEM_write_bio_PUBKEY(bio, key) == 1 ? text_of(bio) : NULL;
}

/* RFC 7518, section 2: Base64urlUInt. */
static json_t *number_of(const EVP_PKEY *key, const char *name)
{
    unsigned char bytes[JWT_KEY_BITS_MAX / 8];
    char text[sodium_base64_ENCODED_LEN(sizeof bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING)];
    _cleanup_bn_ BIGNUM *bn = NULL;

    if (EVP_PKEY_get_bn_param(key, name, &bn) != 1 || (size_t)BN_num_bytes(bn) > sizeof bytes)
        return NULL;
    sodium_bin2base64(text, sizeof text, bytes, (size_t)BN_bn2bin(bn, bytes),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return json_string(text);
}

static json_t *make_jwk(const EVP_PKEY *key, const char *kid)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "kty", "RSA", "use", "sig", "alg", "RS256", "kid", kid,
                     "n", number_of(key, OSSL_PKEY_PARAM_RSA_N), "e", number_of(key, OSSL_PKEY_PARAM_RSA_E));
}

static int load_key(int dirfd, const struct listed *file, struct key *ret, struct jwt_trouble *trouble)
{
    _cleanup_pkey_ EVP_PKEY *key = NULL;
    size_t len;
    int r = path_read_file(dirfd, file->name, PEM_MAX, &ret->private, &len);

    if (r < 0)
        return fail(trouble, file->name, r, "The file can't be read.");
    key = strlen(ret->private) == len ? parse_pem(ret->private) : NULL;
    if (!key)
        return fail(trouble, file->name, -EBADMSG,
                    "This is no RSA private key in PEM of 2048 to 8192 bits without a passphrase.");
    snprintf(ret->kid, sizeof ret->kid, "%.*s", (int)(strlen(file->name) - strlen(EXTENSION)), file->name);
    ret->made = file->made;
    ret->public = public_pem(key);
    ret->jwk = make_jwk(key, ret->kid);
    return ret->public && ret->jwk ? 0 : fail(trouble, file->name, -ENOMEM, "There is no memory.");
}

/* --- the keys of a folder */

static int load_listed(int dirfd, struct ring *ret, struct jwt_trouble *trouble)
{
    struct listing listing;
    int r = list_folder(dirfd, &listing, trouble);

    if (r == 0 && listing.n == 0)
        r = fail(trouble, "", -ENOENT, "There is no key; decant jwt-key makes one.");
    for (size_t i = 0; r == 0 && i < listing.n; i++)
        r = load_key(dirfd, &listing.files[i], &ret->keys[ret->n++], trouble);
    return r;
}

static int load_ring(const char *folder, struct ring *ret, struct jwt_trouble *trouble)
{
    _cleanup_close_ int dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = dirfd < 0 ? fail(trouble, "", -errno, "The folder can't be opened.")
                      : load_listed(dirfd, ret, trouble);

    if (r < 0)
        ring_clear(ret);
    return r;
}

int jwt_keys_load(const char *folder, struct jwt_keys **ret, struct jwt_trouble *ret_trouble)
{
    struct jwt_keys *keys = calloc(1, sizeof *keys);
    int r;

    if (!keys)
        return fail(ret_trouble, "", -ENOMEM, "There is no memory.");
    keys->folder = folder;
    pthread_rwlock_init(&keys->lock, NULL);
    r = load_ring(folder, &keys->ring, ret_trouble);
    if (r < 0)
        jwt_keys_free(keys);
    else
        *ret = keys;
    return r;
}

static bool are_same(const struct ring *a, const struct ring *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!str_eq(a->keys[i].kid, b->keys[i].kid) || !str_eq(a->keys[i].public, b->keys[i].public))
            return false;
    return true;
}

int jwt_keys_reload(struct jwt_keys *keys, struct jwt_trouble *ret_trouble)
{
    struct ring ring = {.n = 0}, old;
    int r = load_ring(keys->folder, &ring, ret_trouble);

    if (r < 0)
        return r;
    pthread_rwlock_wrlock(&keys->lock);
    old = keys->ring;
    keys->ring = ring;
    pthread_rwlock_unlock(&keys->lock);
    r = !are_same(&old, &ring);
    ring_clear(&old);
    return r;
}

void jwt_keys_free(struct jwt_keys *keys)
{
    if (!keys)
        return;
    ring_clear(&keys->ring);
    pthread_rwlock_destroy(&keys->lock);
    free(keys);
}

char *jwt_keys_public(struct jwt_keys *keys)
{
    _cleanup_json_ json_t *array = json_array(), *set = json_object();
    int r = 0;

    pthread_rwlock_rdlock(&keys->lock);
    for (size_t i = keys->ring.n; r == 0 && i > 0; i--)
        r = json_array_append_new(array, json_deep_copy(keys->ring.keys[i - 1].jwk));
    pthread_rwlock_unlock(&keys->lock);
    return r == 0 && json_object_set(set, "keys", array) == 0 ? json_dumps(set, JSON_COMPACT) : NULL;
}

int jwt_keys_with_public(struct jwt_keys *keys, const char *kid, jwt_key_fn *fn, void *arg)
{
    int r = -ENOKEY;

    pthread_rwlock_rdlock(&keys->lock);
    for (size_t i = 0; i < keys->ring.n; i++)
        if (str_eq(keys->ring.keys[i].kid, kid)) {
            r = fn(arg, keys->ring.keys[i].kid, keys->ring.keys[i].public);
            break;
        }
    pthread_rwlock_unlock(&keys->lock);
    return r;
}

static const struct key *signing_key(const struct ring *ring, uint64_t now_s)
{
    for (size_t i = ring->n; i > 0; i--)
        if (ring->keys[i - 1].made.tv_sec + JWT_SETTLE_S <= (time_t)now_s)
            return &ring->keys[i - 1];
    return &ring->keys[0];
}

int jwt_keys_with_signing(struct jwt_keys *keys, uint64_t now_s, jwt_key_fn *fn, void *arg)
{
    const struct key *key;
    int r;

    pthread_rwlock_rdlock(&keys->lock);
    key = signing_key(&keys->ring, now_s);
    r = fn(arg, key->kid, key->private);
    pthread_rwlock_unlock(&keys->lock);
    return r;
}

/* --- making and removing */

/* Its time, for people, and something random, for the case that two are made at once. */
static int name_key(char ret[JWT_KID_MAX + 1])
{
    time_t now = (time_t)(clock_real_ms() / 1000);
    struct tm tm;
    size_t len;

    if (!gmtime_r(&now, &tm))
        return -EOVERFLOW;
    len = strftime(ret, JWT_KID_MAX + 1, "%Y%m%dT%H%M%SZ", &tm);
    snprintf(ret + len, JWT_KID_MAX + 1 - len, "-%08x", randombytes_random());
    return 0;
}

static char *generate(void)
{
    _cleanup_pkey_ EVP_PKEY *key = EVP_RSA_gen(JWT_KEY_BITS);
    _cleanup_bio_ BIO *bio = BIO_new(BIO_s_secmem());

    return key && bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1 ? text_of(bio)
                                                                                            : NULL;
}

static int write_key(int dirfd, const char *name, const char *pem)
{
    _cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    size_t len = strlen(pem);
    struct stat folder;

    if (fd < 0 || fstat(dirfd, &folder) < 0)
        return -errno;
    if (geteuid() == 0 && fchown(fd, folder.st_uid, folder.st_gid) < 0)
        return -errno;
    errno = 0;
    return write(fd, pem, len) == (ssize_t)len && fsync(fd) == 0 ? 0 : errno ? -errno : -EIO;
}

int jwt_key_make(int dirfd, char ret_kid[JWT_KID_MAX + 1])
{
    _cleanup_secret_ char *pem = NULL;
    char name[JWT_KID_MAX + sizeof EXTENSION], new[sizeof name + sizeof ".new"];
    struct jwt_trouble trouble;
    struct listing listing;
    int r = list_folder(dirfd, &listing, &trouble);

    if (r == 0 && listing.n == JWT_KEYS_MAX)
        r = -EMFILE;
    if (r < 0)
        return r;

    if (sodium_init() < 0)
        return -ENOSYS;
    pem = generate();
    r = pem ? name_key(ret_kid) : -ENOMEM;
    if (r < 0)
        return r;
    snprintf(name, sizeof name, "%s" EXTENSION, ret_kid);
    snprintf(new, sizeof new, "%s.new", name);
    r = write_key(dirfd, new, pem);
    if (r == 0 && renameat2(dirfd, new, dirfd, name, RENAME_NOREPLACE) < 0)
        r = -errno;
    if (r < 0)
        unlinkat(dirfd, new, 0);
    return r;
}

int jwt_key_make_first(int dirfd, char ret_kid[JWT_KID_MAX + 1])
{
    struct jwt_trouble trouble;
    struct listing listing;
    int r = list_folder(dirfd, &listing, &trouble);

    *ret_kid = '\0';
    return r < 0 || listing.n > 0 ? r : jwt_key_make(dirfd, ret_kid);
}

int jwt_keys_prune(int dirfd, size_t keep)
{
    struct jwt_trouble trouble;
    struct listing listing;
    int r = list_folder(dirfd, &listing, &trouble);

    for (size_t i = 0; r == 0 && i + keep < listing.n; i++)
        if (unlinkat(dirfd, listing.files[i].name, 0) < 0)
            r = -errno;
    return r;
}

static int give_key(int dirfd, const char *name, uid_t uid, gid_t gid)
{
    _cleanup_close_ int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
        return -EPERM;
    return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int jwt_keys_give(int dirfd, uid_t uid, gid_t gid)
{
    struct jwt_trouble trouble;
    struct listing listing;
    struct stat st;
    int r;

    if (fstat(dirfd, &st) < 0)
        return -errno;
    if (st.st_uid == uid)
        return 0;
    r = list_folder(dirfd, &listing, &trouble);
    for (size_t i = 0; r == 0 && i < listing.n; i++)
        r = give_key(dirfd, listing.files[i].name, uid, gid);
    if (r == 0 && (fchmod(dirfd, 0700) < 0 || fchown(dirfd, uid, gid) < 0))
        r = -errno;
    return r;
}
