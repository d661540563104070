/* Writes ZIP archives for tests, also such as no honest program writes. Everything here ends the test when it
 * fails. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct zip_writer;

struct zip_writer *zip_writer_new(void);

void zip_writer_add(struct zip_writer *z, const char *name, const void *data, size_t len);
void zip_writer_add_deflated(struct zip_writer *z, const char *name, const void *data, size_t len);
/* Name of any bytes. */
void zip_writer_add_named(struct zip_writer *z, const char *name, size_t name_len, const void *data,
                          size_t len);
/* A package whose main part, main.xml, is of this type. */
void zip_writer_add_ooxml(struct zip_writer *z, const char *content_type);

/* The directory's entry of the last member, for lies: 46 bytes and the name (APPNOTE.TXT 4.3.12). */
unsigned char *zip_writer_entry(struct zip_writer *z);
/* Appends an extra field (4.5.1) to it. */
void zip_writer_extra(struct zip_writer *z, uint16_t id, const void *data, uint16_t len);
/* Claims another number of entries. */
void zip_writer_claim(struct zip_writer *z, uint16_t entries);
/* Ends with a zip64 record (4.3.14) and a classic one full of ones. */
void zip_writer_zip64(struct zip_writer *z);

/* The archive in an unnamed file; the writer is gone. */
int zip_writer_finish(struct zip_writer *z);
