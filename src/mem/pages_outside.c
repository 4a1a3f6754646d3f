/*
 * Copying memory from outside: process_vm_readv() into a buffer that stays in the cache, pwrite()
 * out of it.  What that may not read (no PROT_READ) comes through /proc/PID/mem.
 *
 * Both fault pages in, which is harmless: only pages that exist are asked for.
 */
#include "mem/pages_dump.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/progress.h"
#include "image/dir.h"
#include "kernel/procfs.h"
#include "kernel/syscalls.h"

/* Larger ones cost a small task more page faults than they give a large one. */
enum { BUFFER_LEN = 64 * 1024 };

struct copying {
	struct session *s;
	const struct vma_dump *v;
	int pages_fd, mem_fd; /* mem_fd: -1 until needed */
	uint8_t *buffer;
	uint64_t used, offset; /* of the buffer; where in the file it goes */
	struct iovec *remote; /* IOV_MAX of them */
	size_t n_remote;
};

static int read_by_force(struct copying *c, uint64_t addr, uint8_t *to, uint64_t len)
{
	pid_t pid = c->v->t->pid;
	if (c->mem_fd < 0)
		c->mem_fd = proc_open_pid(c->s, pid, "mem", O_RDONLY);
	if (c->mem_fd < 0)
		return fail(c->s, c->mem_fd, "pid %d: open its memory", pid);
	while (len) {
		ssize_t n = pread(c->mem_fd, to, len, (off_t)addr);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail_remedy(c->s, n ? errno : EIO,
				c->v->knows_guards ? NULL
						   : "if these are MADV_GUARD_INSTALL regions, "
						     "dumping them needs Linux 6.15 or later",
				"pid %d: read its memory at %llx", pid, (unsigned long long)addr);
		addr += (uint64_t)n;
		to += n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* What process_vm_readv() left out, which is everything from the first page it may not read. */
static int read_rest(struct copying *c, uint64_t done)
{
	uint64_t at = 0;
	for (size_t i = 0; i < c->n_remote; i++) {
		uint64_t len = c->remote[i].iov_len;
		uint64_t skip = done <= at ? 0 : done - at < len ? done - at : len;
		if (skip < len) {
			int r = read_by_force(c, (uintptr_t)c->remote[i].iov_base + skip,
				c->buffer + at + skip, len - skip);
			if (r < 0)
				return r;
		}
		at += len;
	}
	return 0;
}

static int write_out(struct copying *c)
{
	uint64_t done = 0;
	while (done < c->used) {
		ssize_t n = pwrite(
			c->pages_fd, c->buffer + done, c->used - done, (off_t)(c->offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(c->s, n ? errno : ENOSPC, "write the memory of pid %d to %s",
				c->v->t->pid, c->s->images->path);
		done += (uint64_t)n;
	}
	return 0;
}

static int flush(struct copying *c)
{
	if (!c->used)
		return 0;
	struct iovec local = {c->buffer, c->used};
	ssize_t n = sys_process_vm_readv(c->v->t->pid, &local, 1, c->remote, c->n_remote);
	int r = n == (ssize_t)c->used ? 0 : read_rest(c, n < 0 ? 0 : (uint64_t)n);
	if (r >= 0)
		r = write_out(c);
	progress_add(c->s, c->used);
	c->offset += c->used;
	c->used = 0;
	c->n_remote = 0;
	return r;
}

static int copy_chunk(struct copying *c, const struct page_chunk *chunk)
{
	int r = 0;
	if (chunk->offset != c->offset + c->used)
		r = flush(c);
	if (!c->used)
		c->offset = chunk->offset;
	for (uint64_t done = 0; done < chunk->len && r >= 0;) {
		uint64_t room = BUFFER_LEN - c->used, left = chunk->len - done;
		uint64_t len = left < room ? left : room;
		c->remote[c->n_remote++] = (struct iovec){(void *)(chunk->addr + done), len};
		c->used += len;
		done += len;
		if (c->used == BUFFER_LEN || c->n_remote == IOV_MAX)
			r = flush(c);
	}
	return r;
}

int pages_copy_outside(struct session *s, const struct vma_dump *v, int pages_fd,
	const struct page_chunk *chunks, size_t n)
{
	/* Both on the stack, which is warm already, and remote[] not zeroed. */
	_Alignas(ARCH_PAGE_SIZE) uint8_t buffer[BUFFER_LEN];
	struct iovec remote[IOV_MAX];
	struct copying c = {.s = s,
		.v = v,
		.pages_fd = pages_fd,
		.mem_fd = -1,
		.buffer = buffer,
		.remote = remote};
	int r = 0;
	for (size_t i = 0; i < n && r >= 0; i++)
		r = copy_chunk(&c, &chunks[i]);
	if (r >= 0)
		r = flush(&c);
	cleanup_close(&c.mem_fd);
	return r;
}
