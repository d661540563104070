#include "cli/ask_password.h"

#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <termios.h>

enum { LINE_BYTES_MAX = 2048 };

/* Byte by byte, so that standard input keeps what follows the line. */
static int read_line(int fd, char **ret)
{
    _cleanup_secret_ char *line = calloc(1, LINE_BYTES_MAX + 1);
    size_t len = 0;
    ssize_t n;

    if (!line)
        return -ENOMEM;
    while ((n = read(fd, line + len, 1)) > 0 && line[len] != '\n')
        if (++len == LINE_BYTES_MAX)
            return -EFBIG;
    if (n < 0)
        return -errno;
    line[len] = '\0';
    if (len > 0 && line[len - 1] == '\r')
        line[--len] = '\0';
    if (len == 0 || strlen(line) != len || !utf8_valid(line, len))
        return -EINVAL;
    *ret = TAKE_PTR(line);
    return 0;
}

int read_password_file(const char *path, char **ret)
{
    _cleanup_close_ int fd = -1;

    if (str_eq(path, "-"))
        return read_line(STDIN_FILENO, ret);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return fd < 0 ? -errno : read_line(fd, ret);
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    interrupted = signal_number;
}

/* The terminal shows again what is typed, whatever happens in between. */
int ask_password(const char *question, char **ret)
{
    struct sigaction action = {.sa_handler = on_interrupt}, before;
    _cleanup_close_ int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    struct termios shown, hidden;
    int r;

    if (tty < 0 || tcgetattr(tty, &shown) < 0)
        return -ENXIO;
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    hidden.c_lflag |= ECHONL;
    sigaction(SIGINT, &action, &before);
    if (tcsetattr(tty, TCSAFLUSH, &hidden) < 0 || write(tty, question, strlen(question)) < 0)
        r = -errno;
    else
        r = read_line(tty, ret);
    tcsetattr(tty, TCSAFLUSH, &shown);
    sigaction(SIGINT, &before, NULL);
    return interrupted ? -EINTR : r;
}
