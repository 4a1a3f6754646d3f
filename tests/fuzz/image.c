/*
 * Framing: any bytes as an image of whatever kind it begins like.  What can be read is written
 * back, and is the same if that is read.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/codec.h"

static const struct image_dir memory = {.path = "memory"};

static enum image_type type_of(const struct image_kind *kind)
{
	for (int type = 0; type < N_IMAGE_TYPES; type++)
		if (image_kind((enum image_type)type) == kind)
			return (enum image_type)type;
	abort();
}

static int copy(struct session *s, struct image_reader *r, struct image_writer *w)
{
	ProtobufCMessage *m;
	int more;
	while ((more = image_read(s, r, &m)) > 0) {
		const void *payload;
		size_t len, padding = (size_t)(r->payload.stored - r->payload.len);
		MUST(r->pos <= r->size && r->payload.offset + r->payload.stored == r->pos);
		MUST(image_read_payload(s, r, r->size, &payload, &len) == 0);
		MUST(image_write(s, w, m) == 0 && image_write_payload(s, w, payload, len, 1) == 0);
		MUST(image_write_payload(s, w, "\0\0\0\0\0\0\0", padding, 1) == 0);
	}
	return more;
}

/* Returns how it ended; the copy is complete if it is 0. */
static int pass(struct session *s, int fd, int *ret_copy)
{
	_cleanup_image_reader_ struct image_reader r = IMAGE_READER_NONE;
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	int err = image_reader_identify(s, &r, fd, &memory, "fuzz");
	if (err < 0)
		return err;
	image_writer_init_fd(&w, &memory, type_of(r.kind), fuzz_file(NULL, 0));
	err = copy(s, &r, &w);
	int copied;
	MUST(image_writer_fd(s, &w, &copied) == 0);
	*ret_copy = fcntl(copied, F_DUPFD_CLOEXEC, 0);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct session s;
	_cleanup_close_ int first = -1, second = -1;
	fuzz_session(&s);
	int err = pass(&s, fuzz_file(data, size), &first);
	MUST(!err == !s.failure.err);
	if (err == 0) {
		size_t first_size, second_size;
		_cleanup_free_ char *a = fuzz_slurp(first, &first_size);
		/* libprotobuf-c keeps a field of number 0 whose tag is too long, and writes what it
		 * does not read; there is no such field. */
		if (pass(&s, fuzz_file(a, first_size), &second) < 0) {
			session_release(&s);
			return 0;
		}
		_cleanup_free_ char *b = fuzz_slurp(second, &second_size);
		MUST(first_size == second_size && memcmp(a, b, first_size) == 0);
	}
	session_release(&s);
	return 0;
}
