/* LibreOfficeKit, as a zygote needs it.
 *
 * The order is what keeps the process single-threaded until it forks: lok_preinit_2 and lok_init_2 with
 * SAL_LOK_OPTIONS=unipoll start no thread; runLoop then enters LibreOffice's main loop, which asks our poll
 * callback what to do; inside the first call the warm-up documents are converted and serve() is called,
 * which forks a child per job and never returns to the loop. Documents are loaded in the child on the same
 * stack, where LibreOffice believes to be handling an event.
 *
 * Configuration comes from a read-only layer (settings.xcu) instead of a user profile, so that no profile is
 * made, copied or written for a job. The private folder is needed only until everything is warm; it is
 * removed before the first job.
 *
 * LibreOfficeKit is what starts LibreOffice in one thread and without a profile, and no more: documents go by
 * UNO (document.c). */
#include "engine/office/lok.h"

#include "core/path.h"
#include "core/str.h"
#include "engine/office/components.h"
#include "engine/office/document.h"
#include "engine/office/font_use.h"
#include "engine/office/office_settings.h"
#include "engine/office/office_warm_drawing.h"
#include "engine/office/office_warm_last.h"
#include "engine/office/office_warm_sheet.h"
#include "engine/office/office_warm_slides.h"
#include "engine/office/office_warm_text.h"
#include "engine/office/private_folder.h"
#include "engine/office/uno.h"
#include "engine/office/whole_file.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define LOK_USE_UNSTABLE_API
#include <LibreOfficeKit/LibreOfficeKit.h>

#define DEFAULT_INSTALL_PATH "/usr/lib/libreoffice/program"

/* LibreOffice exists once in a process, and so does this. */
static struct {
    void *library;
    LibreOfficeKit *kit;
    struct private_folder folder;
    const char *outer_tmpdir;
    void (*serve)(void *arg);
    void *serve_arg;
    bool working;
    int error;
    const char *why;
} lok;

const char *lok_install_path(void)
{
    const char *path = getenv("DECANT_LIBREOFFICE");

    return path && *path ? path : DEFAULT_INSTALL_PATH;
}

void lok_version(char *ret, size_t size)
{
    static const char label[] = "\"ooSetupVersionAboutBox\">";
    _cleanup_free_ char *path = NULL, *registry = NULL;
    const char *at = NULL;
    size_t len;

    snprintf(ret, size, "LibreOffice");
    if (asprintf(&path, "%s/../share/registry/main.xcd", lok_install_path()) < 0) {
        path = NULL;
        return;
    }

    /* Not path_read_file: the installation may well lie behind links. */
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    enum { REGISTRY_BYTES_MAX = 16 << 20 };

    if (!file || !(registry = malloc(REGISTRY_BYTES_MAX + 1)))
        return;
    len = fread(registry, 1, REGISTRY_BYTES_MAX, file);
    registry[len] = '\0';
    at = strstr(registry, label);
    at = at ? strstr(at, "<value>") : NULL;
    if (at) {
        at += strlen("<value>");
        snprintf(ret, size, "LibreOffice %.*s", (int)strspn(at, "0123456789."), at);
    }
}

/* --- threads --- */

static unsigned count_threads(void)
{
    _cleanup_closedir_ DIR *dir = opendir("/proc/self/task");
    unsigned n = 0;

    for (struct dirent *e; dir && (e = readdir(dir));)
        n += e->d_name[0] != '.';
    return n;
}

/* A thread that is ending shows for a moment. */
static bool wait_single_threaded(void)
{
    for (int i = 0; i < 200; i++) {
        if (count_threads() == 1)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    }
    return false;
}

/* --- in the child --- */

/* LibreOffice keeps the folder for its temporary files from its start, which by now is gone. The function to
 * change it is C++: a string is a pointer to one pointer, and a string as result goes where any structure
 * goes that is too large for registers. */
static int set_temporary_folder(void)
{
    struct large {
        void *string, *unused[7];
    };
    void (*new_string)(void **ret, const char *ascii) = dlsym(lok.library, "rtl_uString_newFromAscii");
    struct large (*set_base)(void *const *url) =
        dlsym(lok.library, "_ZN3utl8TempFile24SetTempNameBaseDirectoryERKN3rtl8OUStringE")
            ?: dlsym(lok.library, "_ZN3utl24SetTempNameBaseDirectoryERKN3rtl8OUStringE");
    const char *folder = getenv("TMPDIR");
    _cleanup_free_ char *url = document_url(folder && *folder == '/' ? folder : "/tmp");
    void *string = NULL;

    if (!url)
        return -ENOMEM;
    if (!new_string || !set_base)
        return -ENOSYS;
    new_string(&string, url);
    set_base(&string);
    return 0;
}

/* Sends what LibreOffice and its libraries print to nowhere: our standard error is a log of one JSON object a
 * line, and what they say of a document may quote it. Returns the old descriptor, or -errno. */
static int silence(void)
{
    _cleanup_close_ int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    _cleanup_close_ int old = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

    if (null < 0 || old < 0 || dup2(null, STDERR_FILENO) < 0)
        return -errno;
    return TAKE_FD(old);
}

int lok_enter_child(void)
{
    void (*reseed)(void) = dlsym(lok.library, "_ZN10comphelper3rng6reseedEv");

    _cleanup_close_ int stderr_fd = silence();

    if (stderr_fd < 0)
        return stderr_fd;
    /* Else all children would draw the same numbers; 7.4 lacks it. */
    if (reseed)
        reseed();
    return set_temporary_folder();
}

/* --- warm-up --- */

static const struct warm_up {
    const char *name, *text; /* a flat document of ours */
    const char *formats;     /* saved as these, each of which is loaded again and saved as PDF */
} warm_ups[] = {
    {"sheet.fods", warm_sheet, "xlsx ods xls"},
    {"slides.fodp", warm_slides, "pptx odp ppt"},
    {"drawing.fodg", warm_drawing, "odg"},
    {"text.fodt", warm_text, "docx odt doc rtf"},
    /* LibreOffice's caches hold on to the PDF writers that they were last used with, and these to tables of
     * all glyphs of their fonts: 24 MB, which the next text that is drawn takes down. So that this isn't the
     * first of each child, it is one with few glyphs. */
    {"last.fodt", warm_last, "odt"},
};

/* Loads `name` in the private folder, saves it as each of `formats` beside it. */
static int warm_document(const char *name, const char *formats)
{
    _cleanup_free_ char *path = NULL;
    struct document *d;
    size_t len;

    if (asprintf(&path, "%s/%s", lok.folder.path, name) < 0)
        return -ENOMEM;

    int r = document_load(path, NULL, NULL, NULL, NULL, &d);

    if (r < 0)
        return r;
    for (const char *p = formats, *word; r >= 0 && (p = words_next(p, &word, &len));) {
        _cleanup_free_ char *format = strndup(word, len), *to = NULL;

        if (!format || asprintf(&to, "%s/warm.%s", lok.folder.path, format) < 0)
            r = -ENOMEM;
        else
            r = document_save(d, to, format, NULL, NULL, NULL, NULL);
    }
    document_close(d);
    return r;
}

static int write_file(int dirfd, const char *name, const char *content)
{
    _cleanup_close_ int fd = path_open(dirfd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    size_t len = strlen(content);

    if (fd < 0)
        return fd;
    return write(fd, content, len) == (ssize_t)len ? 0 : -EIO;
}

static int warm_up(const struct warm_up *w)
{
    size_t len;
    int r = write_file(lok.folder.fd, w->name, w->text);

    if (r >= 0)
        r = warm_document(w->name, w->formats);
    for (const char *p = w->formats, *word; r >= 0 && (p = words_next(p, &word, &len));) {
        char name[32];

        snprintf(name, sizeof name, "warm.%.*s", (int)len, word);
        r = warm_document(name, "pdf");
    }
    return r;
}

/* LibreOffice waits for its own helper threads (an .xlsx is read by several) by running its main loop
 * inside a load: the lock they need is free only while we are in here. */
static int wait_inside_work(int timeout_us)
{
    enum { NAP_US = 100 };
    int nap_us = timeout_us >= 0 && timeout_us < NAP_US ? timeout_us : NAP_US;

    nanosleep(&(struct timespec){.tv_nsec = nap_us * 1000L}, NULL);
    return 0;
}

static int leave_private_folder(void)
{
    const char *folder = lok.outer_tmpdir ?: "/tmp";

    return setenv("TMPDIR", folder, 1) < 0 || setenv("HOME", folder, 1) < 0 ? -errno : 0;
}

/* LibreOfficeKit takes settings for the whole process with a document: no dialogs, as nobody would ever
 * answer one, and English formats of dates and numbers where a document leaves them to the reader's system.
 * So the first document goes by it. */
static int load_with_settings(void)
{
    static const char name[] = "first.fodt";
    _cleanup_free_ char *path = NULL, *url = NULL;
    LibreOfficeKitDocument *document;
    int r = write_file(lok.folder.fd, name, warm_text);

    if (r < 0)
        return r;
    if (asprintf(&path, "%s/%s", lok.folder.path, name) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    url = document_url(path);
    if (!url)
        return -ENOMEM;
    document = lok.kit->pClass->documentLoadWithOptions(lok.kit, url, "Language=en-US,Batch=true");
    if (!document)
        return -EBADMSG;
    document->pClass->destroy(document);
    return 0;
}

/* Does what LibreOffice has put off until it is idle: each child would do it again, within its own document.
 */
static void finish_idle_work(void)
{
    void (*process)(void) = dlsym(lok.library, "_ZN9Scheduler19ProcessEventsToIdleEv");

    if (process)
        process();
}

/* The main loop's first question, and the last: what follows happens inside it. */
static int on_poll(void *data, int timeout_us)
{
    if (lok.working)
        return wait_inside_work(timeout_us);
    lok.working = true;
    lok.error = uno_connect(lok.library);
    if (lok.error < 0) {
        lok.why = "this LibreOffice can't be called by UNO; 7.4 or newer is needed";
        return -1;
    }
    font_use_prepare();
    lok.error = load_with_settings();
    for (size_t i = 0; i < ARRAY_SIZE(warm_ups) && lok.error >= 0; i++)
        lok.error = warm_up(&warm_ups[i]);
    if (lok.error >= 0)
        finish_idle_work();
    if (lok.error < 0) {
        lok.why = "LibreOffice can't convert its own documents; its writer, calc, impress or draw part is "
                  "missing";
    } else if (!wait_single_threaded()) {
        lok.error = -EBUSY;
        lok.why = "LibreOffice keeps threads running, so no process can be forked from it safely";
    } else {
        private_folder_remove(&lok.folder);
        lok.error = leave_private_folder();
        if (lok.error >= 0)
            lok.serve(lok.serve_arg);
    }
    return -1; /* ends the loop */
}

static void on_wake(void *data)
{
}

/* --- start --- */

static int set_environment(void)
{
    _cleanup_free_ char *layers = NULL;
    const char *registry = "/../share/registry";
    int r = asprintf(&layers, "xcsxcu:file://%s%s res:file://%s%s user:*file://%s/settings.xcu",
                     lok_install_path(), registry, lok_install_path(), registry, lok.folder.path);

    if (r < 0) {
        layers = NULL;
        return -ENOMEM;
    }

    const char *const variables[][2] = {
        {"SAL_USE_VCLPLUGIN", "svp"}, {"SAL_LOK_OPTIONS", "unipoll"}, {"CONFIGURATION_LAYERS", layers},
        {"HOME", lok.folder.path},    {"TMPDIR", lok.folder.path},    {"LC_ALL", "C.UTF-8"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
        if (setenv(variables[i][0], variables[i][1], 1) < 0)
            return -errno;
    return 0;
}

/* Writes the list of components that we want, and names it to LibreOffice. */
static int choose_components(void)
{
    enum { LIST_BYTES_MAX = 4 << 20 };
    _cleanup_free_ char *path = NULL, *url = NULL;
    _cleanup_buf_ struct buf all = BUF_INIT(LIST_BYTES_MAX), ours = BUF_INIT(LIST_BYTES_MAX);
    int r;

    if (asprintf(&path, "%s/services/services.rdb", lok_install_path()) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    if (asprintf(&url, "file://%s/services.rdb", lok.folder.path) < 0) {
        url = NULL;
        return -ENOMEM;
    }
    r = whole_file_read(path, &all);
    if (r >= 0)
        r = all.len > 0 ? components_filter(all.data, &ours) : -EBADMSG;
    if (r >= 0)
        r = write_file(lok.folder.fd, "services.rdb", ours.data);
    return r >= 0 && setenv("URE_MORE_SERVICES", url, 1) < 0 ? -errno : r;
}

/* By its own name and by where links lead. */
static bool is_below_usr(const char *path)
{
    _cleanup_free_ char *real = realpath(path, NULL);

    return str_starts(path, "/usr/") && (!real || str_starts(real, "/usr/"));
}

/* The library and its two entry points, which LibreOfficeKitInit.h would find in the same way but for
 * preinit. */
static int start_kit(const char **ret_why)
{
    static const char *const libraries[] = {"libmergedlo.so", "libsofficeapp.so"};
    const char *install = lok_install_path();
    _cleanup_free_ char *profile = NULL;

    if (!is_below_usr(install)) {
        *ret_why = "DECANT_LIBREOFFICE does not lead below /usr, which is what conversions can read";
        return -EINVAL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(libraries) && !lok.library; i++) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/%s", install, libraries[i]) < 0)
            return -ENOMEM;
        lok.library = dlopen(path, RTLD_LAZY);
    }
    if (!lok.library) {
        *ret_why =
            "LibreOffice is not installed where it is looked for; install it or set DECANT_LIBREOFFICE "
            "to its program folder";
        return -ENOENT;
    }

    *ret_why = "the list of LibreOffice's components (services.rdb) is not as it is known";

    int r = choose_components();

    if (r < 0)
        return r;

    int (*preinit)(const char *, const char *, LibreOfficeKit **) = dlsym(lok.library, "lok_preinit_2");
    LibreOfficeKit *(*hook)(const char *, const char *) = dlsym(lok.library, "libreofficekit_hook_2");

    *ret_why = "this LibreOffice can't be preloaded; 7.4 or newer is needed";
    if (!preinit || !hook)
        return -ENOSYS;
    if (asprintf(&profile, "file://%s/profile", lok.folder.path) < 0)
        return -ENOMEM;

    /* It lists all that it preloads. */
    _cleanup_close_ int stderr_fd = silence();

    if (stderr_fd < 0)
        return stderr_fd;

    bool started = preinit(install, profile, &lok.kit) == 0 && (lok.kit = hook(install, profile)) &&
                   LIBREOFFICEKIT_HAS(lok.kit, runLoop);

    return dup2(stderr_fd, STDERR_FILENO) < 0 || !started ? -EIO : 0;
}

int lok_serve(void (*serve)(void *arg), void *arg, const char **ret_why)
{
    const char *tmpdir = getenv("TMPDIR");

    lok.serve = serve;
    lok.serve_arg = arg;
    if (tmpdir && !(lok.outer_tmpdir = strdup(tmpdir)))
        return -ENOMEM;
    *ret_why = "the temporary folder can't be written";

    int r = private_folder_make("decant-office-", &lok.folder);

    if (r < 0)
        return r;
    r = write_file(lok.folder.fd, "settings.xcu", settings);
    if (r >= 0)
        r = set_environment();
    if (r >= 0)
        r = start_kit(ret_why);
    if (r >= 0) {
        LibreOfficeKitClass *office = lok.kit->pClass;

        /* With NULL for data LibreOffice would take the callbacks for absent. */
        office->runLoop(lok.kit, on_poll, on_wake, &lok);
        r = lok.error < 0 ? lok.error : -EIO;
        *ret_why = lok.why ?: "LibreOffice ended its main loop";
    }
    private_folder_remove(&lok.folder);
    return r;
}
