/* Random identifiers, from the kernel's generator only.
 *
 * Sessions and tokens are 256 random bits in lower-case hex (64 characters); jobs, tasks, files and requests
 * are UUIDv4 (RFC 9562 section 5.4; 122 random bits). Both are safe in paths, headers, Redis keys and URLs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_TOKEN_LEN 64
#define ID_UUID_LEN  36

/* `ret` receives the text and a NUL. Ends the process if the kernel has no randomness: nothing safe can
 * follow. */
void id_token(char ret[ID_TOKEN_LEN + 1]);
void id_uuid(char ret[ID_UUID_LEN + 1]);

/* Random bytes for ids that are wanted all the time: one call of the kernel for 16 of them. All zero at
 * first. Not for what must not be guessed from the memory of a process, and not across a fork. */
struct id_stock {
    uint8_t bytes[256];
    size_t left;
};
void id_uuid_from(struct id_stock *stock, char ret[ID_UUID_LEN + 1]);

/* Exactly the form that id_token and id_uuid write? False for NULL. Check before an id is used in a key or
 * path. */
bool id_is_token(const char *s);
bool id_is_uuid(const char *s);
