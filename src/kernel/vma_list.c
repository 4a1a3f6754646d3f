/*
 * All mappings of a task with their flags, also when there are thousands or they are large.
 *
 * Few are read from smaps, like everywhere else. Once that has told some hundreds, the rest is
 * dearer than the flags from a BPF iterator (vma_bits.c) and everything else from maps. Where there
 * is no iterator, another thread reads smaps.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/session.h"
#include "kernel/maps_stream.h"
#include "kernel/procfs.h"
#include "kernel/read_ahead.h"
#include "kernel/vma_bits.h"

enum {
	LONG = 256 * 1024, /* as much of smaps as is read first; some 350 VMAs */
	SHORT = 3 * 1024,  /* the same of a task with many pages: 4, mostly of the program */
	MANY = 350,	   /* worth a thread that reads them */
};

static int parse_here(struct maps_stream *st, proc_maps_meanwhile *meanwhile, void *arg)
{
	int err = meanwhile(arg);
	return err ? err : maps_stream_parse(st, SIZE_MAX);
}

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
	const vma_info_vec *sample, vma_info_vec *out, proc_maps_meanwhile *meanwhile, void *arg)
{
	_cleanup_close_ int fd = proc_open_pid(s, pid, "maps", O_RDONLY);
	if (fd < 0)
		return fd;
	char text[MAPS_CHUNK];
	size_t cap = bits->n + 1;
	vma_info_vec all = {.v = arena_array(&s->arena, struct vma_info, cap), .cap = cap};
	struct maps_stream st = {.s = s, .fd = fd, .out = &all, .text = text};
	int r = bits->n < MANY ? parse_here(&st, meanwhile, arg) : parse_ahead(&st, meanwhile, arg);
	if (r < 0)
		return maps_read_failed(s, pid, "maps", r);
	if (!vma_bits_apply(bits, all.v, all.n, sample))
		return 1;
	*out = all;
	return 0;
}

/* Few of smaps, without a walk through the pages of all; the file stays at its beginning. */
static int read_sample(struct session *s, struct maps_stream *st, vma_info_vec *ret)
{
	ssize_t n = pread(st->fd, st->text, SHORT, 0);
	const char *newline = n > 0 ? memrchr(st->text, '\n', (size_t)n) : NULL;
	if (!newline)
		return n < 0 ? -errno : 0;
	return proc_maps_parse(&s->arena, st->text, (size_t)(newline + 1 - st->text), ret);
}

int proc_smaps_read_while(struct session *s, pid_t pid, bool takes_long, vma_info_vec *out,
	proc_maps_meanwhile *meanwhile, void *arg)
{
	_cleanup_close_ int fd = proc_open_pid(s, pid, "smaps", O_RDONLY);
	if (fd < 0)
		return fd;
	char text[MAPS_CHUNK];
	struct maps_stream st = {.s = s, .fd = fd, .out = out, .text = text};
	vma_info_vec few = {0};
	int r = takes_long ? read_sample(s, &st, &few) : maps_stream_parse(&st, LONG);
	if (r < 0 || (!takes_long && st.had < LONG))
		return maps_read_failed(s, pid, "smaps", r);
	vma_bits_vec bits = {0};
	bool has_sample = !takes_long || (few.n && few.v[0].vmflags);
	if (!has_sample || vma_bits_read(&s->arena, /* program= */ 0, pid, &bits) < 0)
		return maps_read_failed(s, pid, "smaps", parse_ahead(&st, meanwhile, arg));
	r = read_maps_and_bits(s, pid, &bits, takes_long ? &few : out, out, meanwhile, arg);
	return r <= 0 ? r : maps_read_failed(s, pid, "smaps", maps_stream_parse(&st, SIZE_MAX));
}

/* Maps with flags; 1: the program does not tell all, or not of the same mappings. */
static int read_flagged(
	struct session *s, int program, pid_t pid, const vma_info_vec *sample, vma_info_vec *out)
{
	vma_bits_vec bits = {0};
	vma_info_vec all = {0};
	if (vma_bits_read(&s->arena, program, pid, &bits) < 0)
		return 1;
	int r = proc_maps_read(s, pid, &all);
	if (r < 0)
		return r;
	if (!vma_bits_apply(&bits, all.v, all.n, sample))
		return 1;
	*out = all;
	return 0;
}

int proc_flags_program(struct session *s, pid_t pid)
{
	vma_info_vec smaps = {0}, maps = {0};
	_cleanup_close_ int program = vma_bits_load();
	if (program < 0)
		return program;
	int r = proc_smaps_read(s, pid, &smaps);
	if (r >= 0)
		r = read_flagged(s, program, pid, &smaps, &maps);
	return r ? -ENOTSUP : take_fd(&program);
}

int proc_flagged_maps_read(struct session *s, int program, pid_t pid, vma_info_vec *out)
{
	int r = read_flagged(s, program, pid, &(vma_info_vec){0}, out);
	return r <= 0 ? r : proc_smaps_read(s, pid, out);
}
