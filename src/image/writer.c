/*
 * Writing images.
 *
 * States: nothing appended (no buffer, no file) -> buffered (magics and records in memory)
 * -> open (the file exists, because image_writer_fd() or a full buffer made it).
 * image_writer_close() ends all three.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "image/codec.h"

enum { FLUSH_ABOVE = 1 << 20, FIRST_ROOM = 4096 };

void image_writer_init(
	struct image_writer *w, const struct image_dir *dir, enum image_type type, uint64_t id)
{
	*w = (struct image_writer){.dir = dir, .type = type, .id = id, .fd = -1};
}

void image_writer_init_fd(
	struct image_writer *w, const struct image_dir *dir, enum image_type type, int fd)
{
	*w = (struct image_writer){.dir = dir, .type = type, .fd = fd};
}

void image_writer_release(struct image_writer *w)
{
	if (w->fd >= 0)
		close(w->fd);
	free(w->data);
	*w = (struct image_writer)IMAGE_WRITER_NONE;
}

static int fail_file(struct session *s, const struct image_writer *w, int err, const char *what)
{
	char name[IMAGE_NAME_MAX];
	image_name(w->type, w->id, name);
	return fail(s, err, "%s %s/%s", what, w->dir->path, name);
}

static int flush(struct session *s, struct image_writer *w)
{
	if (w->fd < 0) {
		int fd = image_open_raw_at(s, w->dir, w->type, w->id, O_WRONLY | O_CREAT | O_TRUNC);
		if (fd < 0)
			return fd;
		w->fd = fd;
	}
	for (size_t done = 0; done < w->used;) {
		ssize_t n = write(w->fd, w->data + done, w->used - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail_file(s, w, n ? errno : ENOSPC, "writing");
		done += (size_t)n;
	}
	w->used = 0;
	return 0;
}

/* Room for len more bytes, contiguous. */
static int make_room(struct session *s, struct image_writer *w, size_t len)
{
	size_t room = w->room ? w->room : FIRST_ROOM;
	while (room - w->used < len)
		if (__builtin_mul_overflow(room, 2, &room))
			return fail_file(s, w, E2BIG, "writing");
	if (room == w->room)
		return 0;
	char *data = realloc(w->data, room);
	if (!data) {
		fail_file(s, w, ENOMEM, "writing");
		return -ENOMEM;
	}
	w->data = data;
	w->room = room;
	return 0;
}

static void put_u32(struct image_writer *w, uint32_t value)
{
	memcpy(w->data + w->used, &value, sizeof(value));
	w->used += sizeof(value);
}

/* The magics, before anything else. */
static int begin(struct session *s, struct image_writer *w)
{
	if (w->data)
		return 0;
	int err = make_room(s, w, 8);
	if (err < 0)
		return err;
	const struct image_kind *kind = image_kind(w->type);
	if (kind->class == IMAGE_NORMAL)
		put_u32(w, IMAGE_COMMON_MAGIC);
	else if (kind->class == IMAGE_SERVICE)
		put_u32(w, IMAGE_SERVICE_MAGIC);
	if (kind->class != IMAGE_RAW)
		put_u32(w, kind->magic);
	return 0;
}

static int prepare(struct session *s, struct image_writer *w, size_t len)
{
	int err = begin(s, w);
	if (err < 0)
		return err;
	if (w->used && w->used + len > FLUSH_ABOVE) {
		err = flush(s, w);
		if (err < 0)
			return err;
	}
	return make_room(s, w, len);
}

int image_write(struct session *s, struct image_writer *w, const ProtobufCMessage *m)
{
	const struct image_kind *kind = image_kind(w->type);
	assert(m->descriptor == kind->record || m->descriptor == kind->nested);
	size_t size = protobuf_c_message_get_packed_size(m);
	if (size > UINT32_MAX)
		return fail_file(s, w, EMSGSIZE, "a record of 4 GiB or more does not fit into");
	int err = prepare(s, w, size + sizeof(uint32_t));
	if (err < 0)
		return err;
	put_u32(w, (uint32_t)size);
	w->used += protobuf_c_message_pack(m, (uint8_t *)w->data + w->used);
	return 0;
}

int image_write_payload(
	struct session *s, struct image_writer *w, const void *data, size_t len, size_t align)
{
	size_t padding = align > 1 ? (align - len % align) % align : 0;
	int err = prepare(s, w, len + padding);
	if (err < 0)
		return err;
	if (len)
		memcpy(w->data + w->used, data, len);
	memset(w->data + w->used + len, 0, padding);
	w->used += len + padding;
	return 0;
}

int image_writer_fd(struct session *s, struct image_writer *w, int *ret_fd)
{
	int err = begin(s, w);
	if (err < 0)
		return err;
	err = flush(s, w);
	if (err < 0)
		return err;
	*ret_fd = w->fd;
	return 0;
}

int image_writer_close(struct session *s, struct image_writer *w)
{
	_cleanup_image_writer_ struct image_writer own = *w;
	*w = (struct image_writer)IMAGE_WRITER_NONE;
	if (!own.data && own.fd < 0 && !image_kind(own.type)->even_if_empty)
		return image_unlink(s, own.dir, own.type, own.id);
	int err = begin(s, &own);
	if (err < 0)
		return err;
	err = flush(s, &own);
	if (err < 0)
		return err;
	/* Network file systems report lost writes here. */
	if (close(take_fd(&own.fd)) < 0)
		return fail_file(s, &own, errno, "closing");
	return 0;
}

int image_write_one_at(struct session *s, const struct image_dir *dir, enum image_type type,
	uint64_t id, const ProtobufCMessage *m)
{
	_cleanup_image_writer_ struct image_writer w;
	image_writer_init(&w, dir, type, id);
	int err = image_write(s, &w, m);
	if (err < 0)
		return err;
	return image_writer_close(s, &w);
}

int image_write_one(struct session *s, enum image_type type, uint64_t id, const ProtobufCMessage *m)
{
	return image_write_one_at(s, s->images, type, id, m);
}
