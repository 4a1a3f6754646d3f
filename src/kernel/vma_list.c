/*
 * All mappings of a task with their flags, also when there are thousands.
 *
 * Few are read from smaps, like everywhere else. Once that has told some hundreds, the rest is
 * dearer than the flags from a BPF iterator (vma_bits.c) and everything else from maps. Where there
 * is no iterator, and where few mappings may have many pages, another thread reads smaps.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/session.h"
#include "kernel/maps_stream.h"
#include "kernel/procfs.h"
#include "kernel/read_ahead.h"
#include "kernel/vma_bits.h"

/* As much of smaps as is read first; some 350 VMAs. */
enum { LONG = 256 * 1024 };

/* The rest comes from another thread, which reads while we do something else. */
static int parse_ahead(struct maps_stream *st, proc_maps_meanwhile *meanwhile, void *arg)
{
	struct read_ahead ahead;
	if (!read_ahead_begin(&ahead, st->fd))
		return maps_stream_parse(st, SIZE_MAX);
	st->fd = ahead.from;
	int err = meanwhile(arg);
	if (!err)
		err = maps_stream_parse(st, SIZE_MAX);
	int read_err = read_ahead_end(&ahead);
	return err ? err : read_err;
}

/*
 * Maps, and flags from elsewhere. 0: out has all of them; 1: the mappings have to be read from
 * smaps, but meanwhile was called.
 */
static int read_maps_and_bits(struct session *s, pid_t pid, const vma_bits_vec *bits,
	vma_info_vec *out, proc_maps_meanwhile *meanwhile, void *arg)
{
	_cleanup_close_ int fd = proc_open_pid(s, pid, "maps", O_RDONLY);
	if (fd < 0)
		return fd;
	char text[MAPS_CHUNK];
	size_t cap = bits->n + 1;
	vma_info_vec all = {.v = arena_array(&s->arena, struct vma_info, cap), .cap = cap};
	struct maps_stream st = {.s = s, .fd = fd, .out = &all, .text = text};
	int r = maps_read_failed(s, pid, "maps", parse_ahead(&st, meanwhile, arg));
	if (r < 0)
		return r;
	if (!vma_bits_apply(bits, all.v, all.n, out))
		return 1;
	*out = all;
	return 0;
}

int proc_smaps_read_while(struct session *s, pid_t pid, bool takes_long, vma_info_vec *out,
	proc_maps_meanwhile *meanwhile, void *arg)
{
	_cleanup_close_ int fd = proc_open_pid(s, pid, "smaps", O_RDONLY);
	if (fd < 0)
		return fd;
	char text[MAPS_CHUNK];
	struct maps_stream st = {.s = s, .fd = fd, .out = out, .text = text};
	size_t begin = takes_long ? 0 : LONG;
	int r = maps_stream_parse(&st, begin);
	if (r < 0 || st.had < begin)
		return maps_read_failed(s, pid, "smaps", r);
	vma_bits_vec bits = {0};
	if (takes_long || vma_bits_read(&s->arena, pid, &bits) < 0)
		return maps_read_failed(s, pid, "smaps", parse_ahead(&st, meanwhile, arg));
	r = read_maps_and_bits(s, pid, &bits, out, meanwhile, arg);
	return r <= 0 ? r : maps_read_failed(s, pid, "smaps", maps_stream_parse(&st, SIZE_MAX));
}
