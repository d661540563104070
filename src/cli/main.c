/* decant: one command, its subcommands by table. */
#include "cli/commands.h"
#include "core/str.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"serve", cmd_serve, "start the whole platform on this machine"},
    {"convert", cmd_convert, "convert files: here and now, in the same sandbox without a server, or by one"},
    {"login", cmd_login, "log in to a server, which then converts with `decant convert --server`"},
    {"logout", cmd_logout, "end such a login"},
    {"jobs", cmd_jobs, "list, fetch and end what a server has of yours"},
    {"formats", cmd_formats, "list what can be converted into what"},
    {"doctor", cmd_doctor,
     "check engines, sandbox, scanner and fonts, and say what to do about what is missing"},
    {"queue", cmd_queue, "tell how the queue is, and handle its dead letters"},
    {"user", cmd_user, "manage accounts"},
    {"key", cmd_key, "manage the API keys of accounts"},
    {"seal-key", cmd_seal_key, "make the key that document passwords are sealed with"},
    {"jwt-key", cmd_jwt_key, "make the next key that access tokens are signed with"},
    {"webhook", cmd_webhook, "say where webhooks may go, and tell what became of them"},
    {"version", cmd_version, "print the version"},
};

enum { EXIT_USAGE = 2 };

static void print_usage(FILE *out)
{
    fprintf(out, "usage: decant COMMAND [ARGUMENTS]\n\n");
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
    fprintf(out, "\n`decant COMMAND --help` tells more.\n");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    if (str_eq(name, "help") || str_eq(name, "--help") || str_eq(name, "-h")) {
        print_usage(stdout);
        return EXIT_SUCCESS;
    }
    if (str_eq(name, "--version"))
        name = "version";
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (str_eq(name, commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
    if (*name)
        fprintf(stderr, "decant: there is no command \"%s\"\n\n", name);
    print_usage(stderr);
    return EXIT_USAGE;
}
