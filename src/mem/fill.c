/*
 * Page contents: preadv() steps from the pages image straight to the final addresses.
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
	struct stubs *st;
	struct task *t;
	struct program *p;
	bool early;
	int fd_step; /* the step that opened the pages file, -1 before */
	VEC(struct iovec) iov;
	uint64_t file_start, file_end; /* of what iov holds */
	uint64_t from, to;             /* only this part of the file */
	size_t vma;                    /* index of the VMA that holds the page at hand */
};

static void open_pages(struct filling *f)
{
	struct session *s = f->st->s;
	char *name = arena_printf(&s->arena, "pages-%u.img", mem_of(f->t)->map.pages_id);
	f->fd_step = program_step(f->p, "open", name, SYS_openat, imm((uint64_t)f->st->task_images),
		in_str(f->p, name), imm(O_RDONLY | O_CLOEXEC));
}

static void flush(struct filling *f)
{
	if (!f->iov.n)
		return;
	if (f->fd_step < 0)
		open_pages(f);
	size_t len = f->iov.n * sizeof(f->iov.v[0]);
	int step = program_step(f->p, "read pages", NULL, SYS_preadv, result_of(f->fd_step),
		in_copy(f->p, f->iov.v, len), imm(f->iov.n), imm(f->file_start), imm(0));
	program_expect(f->p, step, (int64_t)(f->file_end - f->file_start));
	f->st->s->stats.pages_restored += (f->file_end - f->file_start) / PAGE;
	f->iov.n = 0;
}

static void add(struct filling *f, uint64_t addr, uint64_t len, uint64_t offset)
{
	uint64_t skip = offset < f->from ? f->from - offset : 0;
	if (skip >= len || offset >= f->to)
		return;
	addr += skip;
	offset += skip;
	len -= skip;
	if (len > f->to - offset)
		len = f->to - offset;
	while (len) {
		if (f->iov.n && (offset != f->file_end || f->file_end - f->file_start >= STEP_MAX))
			flush(f);
		if (!f->iov.n)
			f->file_start = f->file_end = offset;
		uint64_t room = STEP_MAX - (f->file_end - f->file_start);
		uint64_t part = len < room ? len : room;
		struct iovec *last = f->iov.n ? &f->iov.v[f->iov.n - 1] : NULL;
		if (last && (uint64_t)(uintptr_t)last->iov_base + last->iov_len == addr)
			last->iov_len += part;
		else
			*vec_push(&f->st->s->arena, &f->iov) =
				(struct iovec){(void *)(uintptr_t)addr, part};
		f->file_end += part;
		addr += part;
		offset += part;
		len -= part;
		if (f->iov.n == IOV_MAX)
			flush(f);
	}
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
		if (!mem_page_is_inherited(f->st->s, f->t, addr))
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

/* Pages of the parent that the child's image has not. */
static void drop_strangers(struct filling *f)
{
	const struct mem_plan *m = mem_of(f->t);
	const struct mem_plan *theirs = m->kept.n ? mem_of(f->t->parent) : NULL;
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
					program_step(f->p, "drop inherited pages", NULL, SYS_madvise,
						imm(from), imm(to - from), imm(MADV_DONTNEED));
				from = to == addr ? from : addr;
				to = addr + PAGE;
			}
		}
		if (to)
			program_step(f->p, "drop inherited pages", NULL, SYS_madvise, imm(from),
				imm(to - from), imm(MADV_DONTNEED));
	}
}

static void fill(struct filling *f)
{
	const struct mem_plan *m = mem_of(f->t);
	for (size_t i = 0; i < m->map.n; i++)
		fill_entry(f, &m->map.ranges[i]);
	flush(f);
	if (f->fd_step >= 0)
		program_step(f->p, "close", "the pages", SYS_close, result_of(f->fd_step));
}

uint64_t mem_image_bytes(const struct task *t)
{
	return mem_of(t)->map.pages_size;
}

int mem_plan_fill_early(struct stubs *st, struct task *t, struct program *p)
{
	struct filling f = {
		.st = st, .t = t, .p = p, .early = true, .fd_step = -1, .to = UINT64_MAX};
	drop_strangers(&f);
	fill(&f);
	return 0;
}

int mem_plan_fill(struct stubs *st, struct task *t, unsigned part, unsigned parts, struct program *p)
{
	uint64_t pages = mem_image_bytes(t) / PAGE;
	struct filling f = {
		.st = st,
		.t = t,
		.p = p,
		.fd_step = -1,
		.from = pages * part / parts * PAGE,
		.to = pages * (part + 1) / parts * PAGE,
	};
	fill(&f);
	return 0;
}
