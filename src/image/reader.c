/*
 * Reading images: nothing in a file is believed before it is checked against the file's size.
 *
 * image_reader_open() checks the magics; image_read() checks that a record and its payload lie
 * inside the file before it allocates for them, so r->pos never passes r->size.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/codec.h"
#include "ipc.pb-c.h"
#include "file.pb-c.h"
#include "pipe.pb-c.h"
#include "socket.pb-c.h"
#include "anon_inode.pb-c.h"

enum { WINDOW = 64 * 1024 };

void image_reader_release(struct image_reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	free(r->window);
	*r = (struct image_reader)IMAGE_READER_NONE;
}

static int fail_at(
	struct session *s, const struct image_reader *r, uint64_t offset, int err, const char *what)
{
	return fail(
		s, err, "%s/%s: offset %ju: %s", r->dir->path, r->name, (uintmax_t)offset, what);
}

static int read_exactly(
	struct session *s, const struct image_reader *r, void *to, size_t len, uint64_t offset)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(r->fd, (char *)to + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_at(s, r, offset, errno, "cannot be read");
		if (n == 0)
			return fail_at(s, r, offset, EBADMSG, "the file became shorter while read");
		done += (size_t)n;
	}
	return 0;
}

/* Points at len bytes of the file, which the caller knows to exist; valid until the next call. */
static int look_at(
	struct session *s, struct image_reader *r, uint64_t offset, size_t len, const char **ret)
{
	if (offset < r->window_at || offset + len > r->window_at + r->window_len) {
		uint64_t rest = r->size - offset;
		size_t want = len > WINDOW ? len : rest < WINDOW ? (size_t)rest : WINDOW;
		if (want > r->window_room) {
			char *window = realloc(r->window, want);
			if (!window)
				return fail_at(s, r, offset, ENOMEM, "cannot be read");
			r->window = window;
			r->window_room = want;
		}
		r->window_len = 0;
		int err = read_exactly(s, r, r->window, want, offset);
		if (err < 0)
			return err;
		r->window_at = offset;
		r->window_len = want;
	}
	*ret = r->window + (offset - r->window_at);
	return 0;
}

static int read_u32(struct session *s, struct image_reader *r, const char *what, uint32_t *ret)
{
	if (r->size - r->pos < sizeof(*ret))
		return fail_at(s, r, r->pos, EBADMSG, what);
	const char *bytes;
	int err = look_at(s, r, r->pos, sizeof(*ret), &bytes);
	if (err < 0)
		return err;
	memcpy(ret, bytes, sizeof(*ret));
	r->pos += sizeof(*ret);
	return 0;
}

/* Dumps of img_version 1 have the type's magic only, in every file. */
static int check_magics(struct session *s, struct image_reader *r)
{
	static const char short_head[] = "the file ends inside its header";
	uint32_t word = 0,
		first = r->kind->class == IMAGE_SERVICE ? IMAGE_SERVICE_MAGIC : IMAGE_COMMON_MAGIC;
	int err = read_u32(s, r, short_head, &word);
	if (err < 0)
		return err;
	if (r->kind->class != IMAGE_INVENTORY && word == first) {
		err = read_u32(s, r, short_head, &word);
		if (err < 0)
			return err;
	}
	if (word == r->kind->magic)
		return 0;
	return fail(s, EBADMSG, "%s/%s: magic is %08x, expected %08x", r->dir->path, r->name, word,
		r->kind->magic);
}

/* By what it begins with: service and common magic precede that of the type, except in old dumps.
 */
static int identify(struct session *s, struct image_reader *r)
{
	static const char short_head[] = "the file ends inside its header";
	uint32_t word;
	int err = read_u32(s, r, short_head, &word);
	if (err < 0)
		return err;
	enum image_class class = word == IMAGE_SERVICE_MAGIC ? IMAGE_SERVICE : IMAGE_NORMAL;
	if (word == IMAGE_SERVICE_MAGIC || word == IMAGE_COMMON_MAGIC)
		err = read_u32(s, r, short_head, &word);
	else if ((r->kind = image_kind_by_magic(IMAGE_INVENTORY, word)))
		return 0;
	if (err < 0)
		return err;
	r->kind = image_kind_by_magic(class, word);
	if (r->kind)
		return 0;
	return fail_remedy(s, EBADMSG,
		"Maybe you are feeding me an image with raw data(i.e. pages.img)?",
		"%s/%s: Unknown magic 0x%x.", r->dir->path, r->name, word);
}

/* The descriptor becomes the reader's; what its end is must be known before anything is read. */
static int take_file(struct session *s, struct image_reader *r, int fd)
{
	struct stat st;
	r->fd = fd;
	if (fstat(fd, &st) < 0)
		return fail_at(s, r, 0, errno, "cannot be examined");
	r->size = (uint64_t)st.st_size;
	return 0;
}

int image_reader_identify(struct session *s, struct image_reader *r, int fd,
	const struct image_dir *dir, const char *label)
{
	_cleanup_image_reader_ struct image_reader new = {.dir = dir, .fd = -1};
	snprintf(new.name, sizeof(new.name), "%s", label);
	int err = take_file(s, &new, fd);
	if (err >= 0)
		err = identify(s, &new);
	if (err < 0)
		return err;
	*r = new;
	new = (struct image_reader)IMAGE_READER_NONE;
	return 0;
}

int image_reader_open(struct session *s, struct image_reader *r, const struct image_dir *dir,
	enum image_type type, uint64_t id)
{
	_cleanup_image_reader_ struct image_reader new = {
		.dir = dir, .type = type, .kind = image_kind(type), .fd = -1};
	assert(new.kind->record);
	image_name(type, id, new.name);
	int fd = image_open_raw_at(s, dir, type, id, O_RDONLY);
	if (fd < 0 && fd != -ENOENT)
		return fd;
	if (fd >= 0) {
		int err = take_file(s, &new, fd);
		if (err >= 0)
			err = check_magics(s, &new);
		if (err < 0)
			return err;
	}
	*r = new;
	new = (struct image_reader)IMAGE_READER_NONE;
	return 0;
}

/* What the next record must be. */
static const ProtobufCMessageDescriptor *due(const struct image_reader *r)
{
	switch (r->kind->payload) {
	case PAYLOAD_PAGEMAP:
	case PAYLOAD_GHOST:
		return r->n_records ? r->kind->nested : r->kind->record;
	case PAYLOAD_IPC_MSG:
		return r->nested_left ? r->kind->nested : r->kind->record;
	default:
		return r->kind->record;
	}
}

uint64_t image_payload_len(const struct image_kind *kind, const ProtobufCMessage *m, uint64_t rest,
	unsigned *ret_align)
{
	*ret_align = 1;
	switch (kind->payload) {
	case PAYLOAD_NONE:
	case PAYLOAD_PAGEMAP:
		return 0;
	case PAYLOAD_PIPE:
		return ((const PipeDataEntry *)m)->bytes;
	case PAYLOAD_SK_PACKET:
		return ((const SkPacketEntry *)m)->length;
	case PAYLOAD_TCP:
		return (uint64_t)((const TcpStreamEntry *)m)->inq_len +
		       ((const TcpStreamEntry *)m)->outq_len;
	case PAYLOAD_BPFMAP:
		return (uint64_t)((const BpfmapDataEntry *)m)->keys_bytes +
		       ((const BpfmapDataEntry *)m)->values_bytes;
	case PAYLOAD_IPC_SEM:
		*ret_align = 8;
		return (uint64_t)((const IpcSemEntry *)m)->nsems * sizeof(uint16_t);
	case PAYLOAD_IPC_SHM:
		*ret_align = 4;
		return ((const IpcShmEntry *)m)->in_pagemaps ? 0 : ((const IpcShmEntry *)m)->size;
	case PAYLOAD_IPC_MSG:
		*ret_align = 8;
		return m->descriptor == kind->nested ? ((const IpcMsg *)m)->msize : 0;
	case PAYLOAD_GHOST:
		if (m->descriptor == kind->nested)
			return ((const GhostChunkEntry *)m)->len;
		return ((const GhostFileEntry *)m)->chunks ? 0 : rest;
	}
	return 0;
}

/* Steps over the payload of m, which was read just before r->pos. */
static int pass_payload(struct session *s, struct image_reader *r, const ProtobufCMessage *m)
{
	unsigned align;
	uint64_t left = r->size - r->pos, len = image_payload_len(r->kind, m, left, &align);
	uint64_t stored = len;
	if (len <= left)
		stored += (align - len % align) % align;
	if (stored > left)
		return fail(s, EBADMSG,
			"%s/%s: offset %ju: %ju bytes of payload due, the file ends after %ju",
			r->dir->path, r->name, (uintmax_t)r->pos, (uintmax_t)stored,
			(uintmax_t)left);
	r->payload = (struct image_payload_span){.offset = r->pos, .len = len, .stored = stored};
	r->pos += stored;
	if (m->descriptor == &ipc_msg_entry__descriptor)
		r->nested_left = ((const IpcMsgEntry *)m)->qnum;
	else if (r->nested_left)
		r->nested_left--;
	r->n_records++;
	return 0;
}

int image_read(struct session *s, struct image_reader *r, ProtobufCMessage **ret)
{
	if (r->pos == r->size && r->nested_left)
		return fail_at(s, r, r->pos, EBADMSG, "the file ends before the last message");
	if (r->fd < 0 || r->pos == r->size)
		return 0;
	uint64_t start = r->pos;
	uint32_t len = 0;
	int err = read_u32(s, r, "the file ends inside a record's length", &len);
	if (err < 0)
		return err;
	if (len > r->size - r->pos)
		return fail(s, EBADMSG,
			"%s/%s: offset %ju: record of %u bytes, the file ends after %ju",
			r->dir->path, r->name, (uintmax_t)start, len,
			(uintmax_t)(r->size - r->pos));
	const char *bytes = "";
	err = len ? look_at(s, r, r->pos, len, &bytes) : 0;
	if (err < 0)
		return err;
	ProtobufCMessage *m;
	if (image_unpack(s, due(r), bytes, len, &m) < 0)
		return fail(s, EBADMSG, "%s/%s: offset %ju: record of %u bytes is not a %s",
			r->dir->path, r->name, (uintmax_t)start, len, due(r)->name);
	r->pos += len;
	err = pass_payload(s, r, m);
	if (err < 0)
		return err;
	*ret = m;
	return 1;
}

int image_read_payload(struct session *s, struct image_reader *r, uint64_t limit, const void **ret,
	size_t *ret_len)
{
	if (r->payload.len > limit)
		return fail(s, EFBIG,
			"%s/%s: offset %ju: %ju bytes of payload, at most %ju are accepted",
			r->dir->path, r->name, (uintmax_t)r->payload.offset,
			(uintmax_t)r->payload.len, (uintmax_t)limit);
	size_t len = (size_t)r->payload.len;
	char *data = arena_alloc(&s->arena, len ? len : 1);
	int err = read_exactly(s, r, data, len, r->payload.offset);
	if (err < 0)
		return err;
	*ret = data;
	*ret_len = len;
	return 0;
}
