/* The subcommands of `decant`, one file each. `argv[0]` is the subcommand's own name; the value is the
 * program's exit status. */
#pragma once

int cmd_serve(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_formats(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_queue(int argc, char **argv);
int cmd_user(int argc, char **argv);
int cmd_key(int argc, char **argv);
int cmd_seal_key(int argc, char **argv);
int cmd_jwt_key(int argc, char **argv);
int cmd_webhook(int argc, char **argv);
int cmd_login(int argc, char **argv);
int cmd_logout(int argc, char **argv);
int cmd_jobs(int argc, char **argv);
int cmd_version(int argc, char **argv);
