/* A server with test routes in a thread of its own, and a client that speaks raw bytes to it. */
#pragma once

#include "http/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

/* Set before server_start; back to these after server_stop. */
extern struct http_config server_config;

extern atomic_uint ended;     /* on_end calls */
extern atomic_uint gone;      /* of them: http_request_gone() was true */
extern atomic_uint received;  /* bytes that /stream's data() was given */
extern atomic_uint started;   /* handlers that ran */
extern atomic_uint under_way; /* requests of any kind that have begun and not ended */

void server_start(void);
void server_stop(void);
/* Calls http_loop_quiesce in the server's thread, and waits for it. */
void server_quiesce(void);
unsigned server_active(void);
/* The file that GET /file sends: `size` bytes, the i-th is 'a' + i % 26. */
void server_set_file(size_t size);

/* cmocka set-up and tear-down around each test. */
int server_setup(void **state);
int server_teardown(void **state);

int client_connect(void);
void client_send(int fd, const char *text);
void client_send_bytes(int fd, const void *data, size_t len);
/* Reads one response; its body by Content-Length, unless `head`. Fails the test at the end of the stream. */
struct response {
    unsigned status;
    char *text; /* header and body */
    char *body;
    size_t body_len;
};
struct response client_read(int fd, bool head);
void response_free(struct response *r);
#define _cleanup_response_ _cleanup_(response_free)
/* A header's value in a static buffer of the thread, or NULL. */
const char *response_header(const struct response *r, const char *name);
/* Waits until the peer closes; what comes before counts as failure. False: it didn't within `ms`. */
bool client_closed(int fd, int ms);
/* Reads on to the end of the stream. False: there was an error or none came. */
bool client_ended(int fd);

/* Connects, sends, reads one response, closes. */
struct response exchange(const char *request);
/* Waits up to two seconds for a counter. */
void wait_for(atomic_uint *counter, unsigned value);
