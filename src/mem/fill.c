/*
 * Page contents: which stretches of the pages image go where in a task, and the preadv() steps that
 * read them straight to their final addresses.  Those of large tasks go another way, fill_outside.c.
 *
 * Pages follow each other in the file as in the page map, so one step takes up to IOV_MAX
 * stretches of memory as long as nothing between them in the file is skipped.
 */
#include "mem/plan.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "image/registry.h"
#include "mem/vma.h"

enum {
	PAGE = ARCH_PAGE_SIZE,
	STEP_MAX = 1 << 30, /* bytes; the kernel takes a little less than 2 GiB a call */
};

struct filling {
	struct session *s;
	struct task *t;
	bool early;
	size_t vma; /* index of the VMA that holds the page at hand */
	struct stretches *to;
};

static void add(struct filling *f, uint64_t addr, uint64_t len, uint64_t offset)
{
	struct stretches *to = f->to;
	struct stretch *last = to->n ? &to->v[to->n - 1] : NULL;
	f->s->stats.pages_restored += len / PAGE;
	if (last && last->vma == f->vma && last->addr + last->len == addr &&
		last->offset + last->len == offset)
		last->len += len;
	else
		*vec_push(&f->s->arena, to) = (struct stretch){addr, len, offset, f->vma};
}

/* A stretch inside one VMA. */
static void fill_range(struct filling *f, uint64_t addr, uint64_t end, uint64_t offset)
{
	const struct mem_plan *m = mem_of(f->t);
	if (!mem_kept_overlaps(m, addr, end)) {
		add(f, addr, end - addr, offset);
		return;
	}
	for (; addr < end; addr += PAGE, offset += PAGE)
		if (!mem_page_is_inherited(f->s, f->t, addr))
			add(f, addr, PAGE, offset);
}

static void fill_entry(struct filling *f, const struct pagemap_range *range)
{
	struct mem_plan *m = mem_of(f->t);
	uint64_t addr = range->vaddr, end = addr + range->nr_pages * PAGE;
	while (addr < end) {
		while (m->vmas.v[f->vma].e->end <= addr)
			f->vma++;
		const struct vma_plan *v = &m->vmas.v[f->vma];
		uint64_t stop = end < v->e->end ? end : v->e->end;
		bool own = !(v->e->status & VMA_VDSO) || m->vdso.proxy;
		if (v->heirloom == f->early && own)
			fill_range(f, addr, stop, range->offset + (addr - range->vaddr));
		addr = stop;
	}
}

void mem_stretches(struct session *s, struct task *t, bool early, struct stretches *ret)
{
	const struct mem_plan *m = mem_of(t);
	struct filling f = {.s = s, .t = t, .early = early, .to = ret};
	for (size_t i = 0; i < m->map.n; i++)
		fill_entry(&f, &m->map.ranges[i]);
}

/* --- steps --- */

struct reading {
	struct session *s;
	struct program *p;
	int fd_step; /* the step that opened the pages file */
	VEC(struct iovec) iov;
	uint64_t start, end; /* of what iov holds, in the file */
};

static void flush(struct reading *r)
{
	if (!r->iov.n)
		return;
	int step = program_step(r->p, "read pages", NULL, SYS_preadv, result_of(r->fd_step),
		in_copy(r->p, r->iov.v, r->iov.n * sizeof(r->iov.v[0])), imm(r->iov.n),
		imm(r->start), imm(0));
	program_expect(r->p, step, (int64_t)(r->end - r->start));
	r->iov.n = 0;
}

static void read_stretch(struct reading *r, struct stretch part)
{
	while (part.len) {
		if (r->iov.n == IOV_MAX || part.offset != r->end || r->end - r->start >= STEP_MAX)
			flush(r);
		if (!r->iov.n)
			r->start = r->end = part.offset;
		uint64_t room = STEP_MAX - (r->end - r->start);
		uint64_t len = part.len < room ? part.len : room;
		*vec_push(&r->s->arena, &r->iov) =
			(struct iovec){(void *)(uintptr_t)part.addr, len};
		r->end += len;
		part.addr += len;
		part.offset += len;
		part.len -= len;
	}
}

static void plan_reads(struct stubs *st, struct task *t, bool early, struct program *p)
{
	struct session *s = st->s;
	struct stretches all = {0};
	mem_stretches(s, t, early, &all);
	if (!all.n)
		return;
	char *name = arena_printf(&s->arena, "pages-%u.img", mem_of(t)->map.pages_id);
	struct reading r = {.s = s, .p = p};
	r.fd_step = program_step(p, "open", name, SYS_openat, imm((uint64_t)st->task_images),
		in_str(p, name), imm(O_RDONLY | O_CLOEXEC));
	vec_for_each(&all, part)
		read_stretch(&r, *part);
	flush(&r);
	program_step(p, "close", "the pages", SYS_close, result_of(r.fd_step));
}

/* Pages of the parent that the child's image has not. */
static void drop_strangers(const struct task *t, struct program *p)
{
	const struct mem_plan *m = mem_of(t);
	const struct mem_plan *theirs = m->kept.n ? mem_of(t->parent) : NULL;
	vec_for_each(&m->kept, k) {
		const struct pagemap_range *range = pagemap_find(&theirs->map, k->start);
		const struct pagemap_range *last = theirs->map.ranges + theirs->map.n;
		uint64_t from = 0, to = 0;
		for (; range && range < last && range->vaddr < k->end; range++) {
			uint64_t addr = range->vaddr > k->start ? range->vaddr : k->start;
			uint64_t end = range->vaddr + range->nr_pages * PAGE;
			for (; addr < end && addr < k->end; addr += PAGE) {
				const struct pagemap_range *mine = pagemap_find(&m->map, addr);
				if (mine && mine->vaddr <= addr)
					continue;
				if (to != addr && to)
					program_step(p, "drop inherited pages", NULL, SYS_madvise,
						imm(from), imm(to - from), imm(MADV_DONTNEED));
				from = to == addr ? from : addr;
				to = addr + PAGE;
			}
		}
		if (to)
			program_step(p, "drop inherited pages", NULL, SYS_madvise, imm(from),
				imm(to - from), imm(MADV_DONTNEED));
	}
}

uint64_t mem_image_bytes(const struct task *t)
{
	return mem_of(t)->map.pages_size;
}

int mem_plan_fill_early(struct stubs *st, struct task *t, struct program *p)
{
	drop_strangers(t, p);
	plan_reads(st, t, /* early= */ true, p);
	return 0;
}

int mem_plan_fill(struct stubs *st, struct task *t, struct program *p)
{
	plan_reads(st, t, /* early= */ false, p);
	return 0;
}
