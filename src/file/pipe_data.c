/*
 * The capacity of a pipe and the bytes in it, without taking them out.
 *
 * tee(2) copies references to the queued buffers into a scratch pipe of the controller, which is
 * then read.  With O_DIRECT every write was a packet and a read of the scratch pipe returns one
 * (the buffers keep PIPE_BUF_FLAG_PACKET); the image has no place for their boundaries, so each
 * packet is a record of its own with the same pipe_id.  Restored that way, too: all bytes with one
 * write, or one write with O_DIRECT for each packet.
 */
#include "file/pipe_data.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/explain.h"

struct pipe_dump {
	struct file_source from;
	uint32_t pipe_id;
	bool is_fifo;
};

/* --- dump --- */

static int prepare_scratch(struct file_dump *d, int size)
{
	if (d->scratch[0] < 0 && pipe2(d->scratch, O_CLOEXEC | O_NONBLOCK) < 0)
		return fail(d->s, errno, "make a pipe");
	if (fcntl(d->scratch[0], F_GETPIPE_SZ) != size &&
		fcntl(d->scratch[0], F_SETPIPE_SZ, size) < 0)
		return fail(d->s, errno, "make a pipe of %d bytes", size);
	return 0;
}

static int write_record(
	struct file_dump *d, const struct pipe_dump *pd, int size, const char *data, ssize_t len)
{
	struct image_writer *w = pd->is_fifo ? &d->fifo_data : &d->pipes_data;
	PipeDataEntry e = PIPE_DATA_ENTRY__INIT;
	e.pipe_id = pd->pipe_id;
	e.bytes = (uint32_t)len;
	e.has_size = true;
	e.size = (uint32_t)size;
	int r = image_write(d->s, w, &e.base);
	return r < 0 ? r : image_write_payload(d->s, w, data, (size_t)len, 1);
}

/* What a read() returns ends at a packet, if the pipe has any. */
static int write_queue(struct file_dump *d, const struct pipe_dump *pd, int size, int queued)
{
	_cleanup_free_ char *data = malloc((size_t)size);
	if (!data)
		return fail(d->s, ENOMEM, "look into a pipe");
	for (int left = queued; left > 0;) {
		ssize_t n = read(d->scratch[0], data, (size_t)size);
		if (n <= 0)
			return fail(d->s, n ? errno : EIO, "look into a pipe");
		int r = write_record(d, pd, size, data, n);
		if (r < 0)
			return r;
		left -= (int)n;
	}
	return queued ? 0 : write_record(d, pd, size, data, 0);
}

static int pipe_write(struct file_dump *d, void *object)
{
	const struct pipe_dump *pd = object;
	_cleanup_close_ int fd = source_take(d, &pd->from);
	if (fd < 0)
		return fd;
	int size = fcntl(fd, F_GETPIPE_SZ), queued = 0;
	if (size < 0 || ioctl(fd, FIONREAD, &queued) < 0)
		return fail(d->s, errno, "pid %d fd %d: examine the pipe", pd->from.task->vpid,
			pd->from.number);
	int r = prepare_scratch(d, size);
	if (r < 0)
		return r;
	ssize_t copied = tee(fd, d->scratch[1], (size_t)size, SPLICE_F_NONBLOCK);
	if (copied < 0 && errno == EAGAIN)
		copied = 0;
	if (copied != queued)
		return fail(d->s, copied < 0 ? errno : EIO,
			"pid %d fd %d: copy %d bytes of the pipe", pd->from.task->vpid,
			pd->from.number, queued);
	return write_queue(d, pd, size, queued);
}

void pipe_data_collect(struct file_dump *d, const struct file_view *v, bool is_fifo)
{
	uint64_t key = (uint64_t)v->st.stx_ino << 1 | is_fifo;
	if ((v->flags & O_ACCMODE) == O_WRONLY || v->flags & O_PATH || id_map_get(&d->pipes, key))
		return;
	struct pipe_dump *pd = arena_new(&d->s->arena, struct pipe_dump);
	*pd = (struct pipe_dump){
		.from = v->from, .pipe_id = (uint32_t)v->st.stx_ino, .is_fifo = is_fifo};
	id_map_put(&d->s->arena, &d->pipes, key, pd);
	int queued;
	if (d->dry && ioctl(v->fd, FIONREAD, &queued) == 0)
		d->predicted += (uint64_t)queued;
	file_dump_later(d, pipe_write, pd);
}

/* --- restore --- */

struct pipe_group *pipe_group_of(struct file_set *f, struct id_map *groups, uint32_t pipe_id)
{
	struct pipe_group *g = id_map_get(groups, pipe_id);
	if (!g) {
		g = arena_new(&f->s->arena, struct pipe_group);
		g->pipe_id = pipe_id;
		id_map_put(&f->s->arena, groups, pipe_id, g);
	}
	return g;
}

static int load_image(struct file_set *f, enum image_type type, struct id_map *groups, int *ret_fd)
{
	_cleanup_image_reader_ struct image_reader reader = IMAGE_READER_NONE;
	ProtobufCMessage *m;
	int r = image_reader_open(f->s, &reader, f->s->images, type, 0);
	while (r >= 0 && (r = image_read(f->s, &reader, &m)) > 0) {
		const PipeDataEntry *e = (const PipeDataEntry *)m;
		struct pipe_group *g = id_map_get(groups, e->pipe_id);
		if (!g)
			continue; /* nobody has it open any more */
		if (e->has_size && e->size)
			g->size = e->size;
		if (e->bytes)
			*vec_push(&f->s->arena, &g->queue) = (struct pipe_record){
				.len = e->bytes, .offset = reader.payload.offset};
	}
	if (r >= 0)
		*ret_fd = take_fd(&reader.fd);
	return r;
}

int pipe_data_load(struct file_set *f)
{
	int r = load_image(f, IMG_PIPES_DATA, &f->pipes, &f->pipes_data);
	return r < 0 ? r : load_image(f, IMG_FIFO_DATA, &f->fifos, &f->fifo_data);
}

static bool has_packet_writer(const struct pipe_group *g)
{
	vec_for_each (&g->ends, end)
		if ((*end)->flags & O_DIRECT && ((*end)->flags & O_ACCMODE) != O_RDONLY)
			return true;
	return false;
}

static int fill(struct file_set *f, const struct pipe_record *record, int image, int writer)
{
	_cleanup_free_ char *data = malloc(record->len);
	if (!data)
		return fail(f->s, ENOMEM, "fill a pipe with %u bytes", record->len);
	if (pread(image, data, record->len, (off_t)record->offset) != (ssize_t)record->len)
		return fail(f->s, EBADMSG, "read what was in a pipe from the images");
	ssize_t n = write(writer, data, record->len);
	if (n != (ssize_t)record->len)
		return fail(f->s, n < 0 ? errno : ENOSPC, "fill a pipe with %u bytes", record->len);
	return 0;
}

int pipe_data_restore(struct file_set *f, struct pipe_group *g, int image, int writer)
{
	if (g->filled)
		return 0;
	g->filled = true;
	if (g->size && fcntl(writer, F_GETPIPE_SZ) != (int)g->size &&
		fcntl(writer, F_SETPIPE_SZ, g->size) < 0)
		return fail_remedy(f->s, errno, "raise /proc/sys/fs/pipe-max-size",
			"give a pipe the capacity of %u bytes", g->size);
	bool packets = g->queue.n > 1 || (g->queue.n && has_packet_writer(g));
	int before = fcntl(writer, F_GETFL);
	if (before < 0 || fcntl(writer, F_SETFL, O_NONBLOCK | (packets ? O_DIRECT : 0)) < 0)
		return fail(f->s, errno, "fill a pipe");
	int r = 0;
	for (size_t i = 0; i < g->queue.n && r >= 0; i++)
		r = fill(f, &g->queue.v[i], image, writer);
	if (r >= 0 && fcntl(writer, F_SETFL, before) < 0)
		r = fail(f->s, errno, "fill a pipe");
	return r;
}

void pipe_data_explain(struct pipe_group *g)
{
	size_t bytes = 0;
	vec_for_each (&g->queue, record)
		bytes += record->len;
	if (bytes && !g->filled)
		explain_act("fill the pipe %u with %zu bytes", g->pipe_id, bytes);
	g->filled = true;
}
