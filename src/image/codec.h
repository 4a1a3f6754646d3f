/*
 * Reading and writing images record by record.
 *
 * A record is a u32 length and that much protobuf; some are followed by unframed payload (see
 * enum image_payload).  Failures name the file and the offset.  A damaged file is -EBADMSG.
 */
#ifndef FERMATA_IMAGE_CODEC_H
#define FERMATA_IMAGE_CODEC_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/session.h"
#include "image/dir.h"
#include "image/registry.h"

/*
 * A file being written.  Closed until something is appended or the type is written even if
 * empty; then bytes gather in the buffer and normally go out in one write at the end.
 */
struct image_writer {
	const struct image_dir *dir;
	enum image_type type;
	uint64_t id;
	int fd;	    /* -1 until the first write */
	char *data; /* malloc()ed */
	size_t used, room;
};

/* Scope-bound: frees and closes; what was not closed properly stays incomplete. */
void image_writer_release(struct image_writer *w);
#define _cleanup_image_writer_ _cleanup_(image_writer_release)
#define IMAGE_WRITER_NONE \
	{                 \
		.fd = -1  \
	}

/* Starts an image in a directory. Touches nothing on disk yet. */
void image_writer_init(
	struct image_writer *w, const struct image_dir *dir, enum image_type type, uint64_t id);

/* The same on a descriptor, which the writer owns from then on. */
void image_writer_init_fd(
	struct image_writer *w, const struct image_dir *dir, enum image_type type, int fd);

/* Appends a record. m must be of the type's record or nested message. */
int image_write(struct session *s, struct image_writer *w, const ProtobufCMessage *m);

/* Appends payload (after the record it belongs to), and zeros up to a multiple of `align`. */
int image_write_payload(
	struct session *s, struct image_writer *w, const void *data, size_t len, size_t align);

/*
 * Writes out what is buffered and lends the descriptor, positioned at the end, so that payload
 * can be spliced or copied straight in.
 */
int image_writer_fd(struct session *s, struct image_writer *w, int *ret_fd);

/* Completes the file; when nothing was appended, removes a stale one of that name instead. */
int image_writer_close(struct session *s, struct image_writer *w);

/* Where the payload of a record is. */
struct image_payload_span {
	uint64_t offset; /* in the file */
	uint64_t len;	 /* without padding; for TCP and BPF maps both parts together */
	uint64_t stored; /* with padding */
};

/*
 * How much unframed data follows m, a record of that kind, and to what multiple it is padded; rest
 * is what is left of the file behind the record.
 */
uint64_t image_payload_len(const struct image_kind *kind, const ProtobufCMessage *m, uint64_t rest,
	unsigned *ret_align);

/*
 * A file being read.  A missing file reads as one without records.  Only a window of it is in
 * memory, never more than its longest record or 64 KiB.
 */
struct image_reader {
	const struct image_dir *dir;
	const struct image_kind *kind;
	enum image_type type;
	char name[IMAGE_NAME_MAX];
	int fd; /* -1 if the file is missing */
	uint64_t size;
	uint64_t pos;			   /* of the next record */
	uint64_t n_records;		   /* read so far, nested ones included */
	uint64_t nested_left;		   /* nested records due before the next ordinary one */
	bool chunked;			   /* a ghost file whose body is nested records */
	struct image_payload_span payload; /* of the record read last */
	char *window;			   /* malloc()ed */
	size_t window_room, window_len;
	uint64_t window_at; /* its offset in the file */
};

void image_reader_release(struct image_reader *r);
#define _cleanup_image_reader_ _cleanup_(image_reader_release)
#define IMAGE_READER_NONE \
	{                 \
		.fd = -1  \
	}

/*
 * Opens an image of a type with records and checks its magics. Returns 0 also when the file is
 * missing: r->fd tells.
 */
int image_reader_open(struct session *s, struct image_reader *r, const struct image_dir *dir,
	enum image_type type, uint64_t id);

/*
 * Takes over a descriptor of a regular file and finds out from the magics what it is; label is for
 * messages. What begins with no known magic is -EBADMSG.
 */
int image_reader_identify(struct session *s, struct image_reader *r, int fd,
	const struct image_dir *dir, const char *label);

/*
 * The next record, unpacked into the session's arena. Returns 1, or 0 at the end of the file.
 * With nested records, ret->descriptor tells which kind it is.  The payload of the record is
 * r->payload (already checked to lie inside the file); reading it or not is up to the caller.
 */
int image_read(struct session *s, struct image_reader *r, ProtobufCMessage **ret);

/* The payload without padding, copied into the arena; -EFBIG when longer than limit. */
int image_read_payload(struct session *s, struct image_reader *r, uint64_t limit, const void **ret,
	size_t *ret_len);

/* The image with exactly this record, in the session's directory. */
int image_write_one(
	struct session *s, enum image_type type, uint64_t id, const ProtobufCMessage *m);

/* Its only record; -ENOENT, without a failure, when the file is missing. */
int image_read_one(struct session *s, enum image_type type, uint64_t id, ProtobufCMessage **ret);

/* All records, payloads skipped. A missing file gives none. */
int image_read_all(struct session *s, enum image_type type, uint64_t id, ProtobufCMessage ***ret,
	size_t *ret_n);

/* The same in another directory, such as a parent's. */
int image_write_one_at(struct session *s, const struct image_dir *dir, enum image_type type,
	uint64_t id, const ProtobufCMessage *m);
int image_read_one_at(struct session *s, const struct image_dir *dir, enum image_type type,
	uint64_t id, ProtobufCMessage **ret);

/*
 * Unpacks one message into the arena. Returns -EBADMSG without recording a failure; nesting
 * deeper than 100 levels counts as damage, because libprotobuf-c recurses on the stack.
 */
int image_unpack(struct session *s, const ProtobufCMessageDescriptor *type, const void *data,
	size_t len, ProtobufCMessage **ret);

#endif
