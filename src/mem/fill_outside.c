/*
 * Page contents of large tasks: the controller copies them out of the mapped pages file into the
 * stub, with two threads.
 *
 * Anonymous memory in long stretches goes by UFFDIO_COPY (ioctl_userfaultfd(2)): the kernel makes
 * the pages with their contents, so none is cleared first and none is faulted in: a third of the
 * time of preadv() in the task.  All else goes by process_vm_writev(2), which still saves an
 * exception for each page.  While a range is registered with the userfaultfd nothing else may touch
 * it: so one after the other.
 */
#include "mem/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/progress.h"
#include "base/share.h"
#include "kernel/syscalls.h"
#include "mem/vma.h"

enum {
	PIECE = 256 * 1024, /* bytes that one call copies */
	PIECE_STRETCHES = 64,
	LONG_STRETCH = 64 * 1024,
};

/* Stretches v[first] .. v[first + n - 1], at most PIECE bytes. */
struct piece {
	size_t first, n;
};

struct copying {
	struct session *s;
	struct task *t;
	const char *pages;
	int uffd;
	struct stretches parts; /* cut to PIECE bytes */
	VEC(struct piece) pieces;
};

static void add_part(struct copying *c, struct stretch part, uint64_t *room)
{
	struct piece *last = c->pieces.n ? &c->pieces.v[c->pieces.n - 1] : NULL;
	if (!last || *room < part.len || last->n == PIECE_STRETCHES) {
		last = vec_push(&c->s->arena, &c->pieces);
		*last = (struct piece){.first = c->parts.n};
		*room = PIECE;
	}
	last->n++;
	*room -= part.len;
	*vec_push(&c->s->arena, &c->parts) = part;
}

static void cut(struct copying *c, const struct stretches *from)
{
	uint64_t room = 0;
	c->parts.n = c->pieces.n = 0;
	vec_for_each (from, whole) {
		struct stretch part = *whole;
		for (uint64_t left = whole->len; left; left -= part.len) {
			part.len = left < PIECE ? left : PIECE;
			add_part(c, part, &room);
			part.addr += part.len;
			part.offset += part.len;
		}
	}
}

/* One call instead of a fault for every few pages. Before Linux 5.14 those it is. */
static void fault_in(const char *from, uint64_t len)
{
#ifdef MADV_POPULATE_READ
	madvise((void *)(uintptr_t)from, len, MADV_POPULATE_READ);
#else
	(void)from, (void)len;
#endif
}

static int explain_copy(
	struct session *s, const struct copying *c, const struct stretch *at, int err)
{
	return fail(s, err, "pid %d: write its memory at 0x%llx", c->t->vpid,
		(unsigned long long)at->addr);
}

static int write_piece(struct session *s, void *arg, size_t i)
{
	const struct copying *c = arg;
	const struct piece *piece = &c->pieces.v[i];
	const struct stretch *part = &c->parts.v[piece->first];
	struct iovec from[PIECE_STRETCHES], to[PIECE_STRETCHES];
	ssize_t len = 0;
	for (size_t k = 0; k < piece->n; k++) {
		from[k] =
			(struct iovec){(void *)(uintptr_t)(c->pages + part[k].offset), part[k].len};
		to[k] = (struct iovec){(void *)(uintptr_t)part[k].addr, part[k].len};
		len += (ssize_t)part[k].len;
	}
	const struct stretch *last = &part[piece->n - 1];
	fault_in(c->pages + part->offset, last->offset + last->len - part->offset);
	ssize_t n = process_vm_writev(c->t->pid, from, piece->n, to, piece->n, 0);
	progress_add(s, (uint64_t)len);
	return n == len ? 0 : explain_copy(s, c, part, n < 0 ? errno : EFAULT);
}

static int copy_piece(struct session *s, void *arg, size_t i)
{
	const struct copying *c = arg;
	const struct piece *piece = &c->pieces.v[i];
	for (size_t k = piece->first; k < piece->first + piece->n; k++) {
		struct stretch part = c->parts.v[k];
		fault_in(c->pages + part.offset, part.len);
		progress_add(s, part.len);
		while (part.len) {
			struct uffdio_copy copy = {
				.dst = part.addr,
				.src = (uint64_t)(uintptr_t)(c->pages + part.offset),
				.len = part.len,
				.mode = UFFDIO_COPY_MODE_DONTWAKE,
			};
			if (ioctl(c->uffd, UFFDIO_COPY, &copy) < 0 && errno != EAGAIN)
				return explain_copy(s, c, &part, errno);
			uint64_t done = copy.copy > 0 ? (uint64_t)copy.copy : 0;
			part.addr += done;
			part.offset += done;
			part.len -= done;
		}
	}
	return 0;
}

static int work(struct copying *c, const struct stretches *which, share_work *how)
{
	cut(c, which);
	return share_out(c->s, c->pieces.n, how, c);
}

/* --- the userfaultfd --- */

/* Where fork left nothing, so that every page is missing. */
static bool is_plain(const struct task *t, const struct stretch *part)
{
	const struct mem_plan *m = mem_of(t);
	const VmaEntry *e = m->vmas.v[part->vma].e;
	return part->len >= LONG_STRETCH && e->status & VMA_ANON_PRIVATE &&
	       !(e->flags & (VMA_MAP_HUGETLB | VMA_MAP_DROPPABLE)) &&
	       !mem_kept_overlaps(m, e->start, e->end);
}

static bool register_vma(int uffd, const VmaEntry *e)
{
	struct uffdio_register reg = {
		.range = {e->start, e->end - e->start}, .mode = UFFDIO_REGISTER_MODE_MISSING};
	return ioctl(uffd, UFFDIO_REGISTER, &reg) == 0;
}

/* The stub's, since it belongs to the memory of who makes it; the stub keeps none. -1: no way. */
static int open_uffd(struct stubs *st, struct task *t)
{
	struct program *p = &leader(t)->program;
	program_reset(p);
	int step = program_step(p, "make a userfaultfd", NULL, SYS_userfaultfd,
		imm(O_CLOEXEC | UFFD_USER_MODE_ONLY));
	program_may_fail(p, step);
	int r = stub_play(st, leader(t), p);
	int number = r < 0 ? -1 : (int)program_result(p, step);
	if (number < 0)
		return r < 0 ? r : -1;
	_cleanup_close_ int pidfd = sys_pidfd_open(t->pid, 0);
	_cleanup_close_ int fd = pidfd < 0 ? -1 : sys_pidfd_getfd(pidfd, number);
	program_reset(p);
	program_step(p, "close", "the userfaultfd", SYS_close, imm((uint64_t)number));
	r = stub_play(st, leader(t), p);
	struct uffdio_api api = {.api = UFFD_API};
	if (r < 0 || fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0)
		return r < 0 ? r : -1;
	return take_fd(&fd);
}

/* Moves what can go this way from all to ret, and registers it. */
static void register_plain(struct copying *c, struct stretches *all, struct stretches *ret)
{
	size_t kept = 0, registered = SIZE_MAX, refused = SIZE_MAX;
	for (size_t i = 0; i < all->n; i++) {
		struct stretch part = all->v[i];
		bool plain = is_plain(c->t, &part) && part.vma != refused;
		if (plain && part.vma != registered) {
			plain = register_vma(c->uffd, mem_of(c->t)->vmas.v[part.vma].e);
			*(plain ? &registered : &refused) = part.vma;
		}
		if (plain)
			*vec_push(&c->s->arena, ret) = part;
		else
			all->v[kept++] = part;
	}
	all->n = kept;
}

static bool any_plain(const struct task *t, const struct stretches *all)
{
	vec_for_each (all, part)
		if (is_plain(t, part))
			return true;
	return false;
}

static int copy_plain(struct stubs *st, struct copying *c, struct stretches *all)
{
	if (!any_plain(c->t, all))
		return 0;
	_cleanup_close_ int uffd = open_uffd(st, c->t);
	if (uffd < 0)
		return uffd == -1 ? 0 : uffd;
	struct stretches plain = {0};
	c->uffd = uffd;
	register_plain(c, all, &plain);
	return work(c, &plain, copy_piece);
}

int mem_fill_outside(struct stubs *st, struct task *t)
{
	struct session *s = st->s;
	if (st->explain) {
		fprintf(st->explain, "[controller] write %llu bytes of pages-%u.img to pid %d\n",
			(unsigned long long)mem_image_bytes(t), mem_of(t)->map.pages_id, t->vpid);
		return 0;
	}
	struct copying c = {.s = s, .t = t, .pages = mem_image_pages(s, t), .uffd = -1};
	if (!c.pages)
		return fail(
			s, errno, "pid %d: map its pages-%u.img", t->vpid, mem_of(t)->map.pages_id);
	struct stretches all = {0};
	mem_stretches(s, t, /* early= */ false, &all);
	int r = copy_plain(st, &c, &all);
	return r < 0 ? r : work(&c, &all, write_piece);
}

/* Kernels may lack it, and sandboxes forbid it. */
bool mem_can_fill_outside(void)
{
	return process_vm_writev(getpid(), NULL, 0, NULL, 0, 0) == 0;
}
