/*
 * Private memory into images (spec/images-process.md 7).
 *
 * The scan at collect time says which pages exist; the task has been stopped since, so they still
 * do.  The pagemap follows from that alone.  The data is one stream of chunks in its order, written
 * by the task itself where that is allowed and pays, by the controller otherwise.
 */
#include "mem/pages_dump.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "image/checksum.h"
#include "image/pagemap.h"
#include "kernel/proc_limits.h"

enum {
	PAGE = ARCH_PAGE_SIZE,
	/* A visit and a descriptor handed over cost about as much as is gained on this many bytes.
	 */
	INSIDE_MIN = 4 << 20,
};

struct plan {
	struct session *s;
	struct vma_dump *v;
	struct pages_writer out;
	VEC(struct page_chunk) chunks;
	uint64_t *stack_pages; /* of all threads, ascending */
	size_t n_stack_pages;
};

/* The contents of a VMA, piece by piece; ranges and VMAs both ascend. */
typedef int (*piece_fn)(void *ctx, const VmaEntry *e, uint64_t start, uint64_t end);

static int each_piece(const struct vma_dump *v, piece_fn fn, void *ctx)
{
	size_t at = 0;
	int r = 0;
	for (size_t i = 0; i < v->vmas.n && r >= 0; i++) {
		const VmaEntry *e = &v->vmas.v[i].e;
		if (!vma_has_dumped_pages(e))
			continue;
		if (e->status & VMA_VDSO) {
			r = fn(ctx, e, e->start, e->end);
			continue;
		}
		while (at < v->pages.n && v->pages.v[at].end <= e->start)
			at++;
		for (size_t k = at; k < v->pages.n && v->pages.v[k].start < e->end && r >= 0; k++) {
			const struct page_range *range = &v->pages.v[k];
			uint64_t start = range->start > e->start ? range->start : e->start;
			uint64_t end = range->end < e->end ? range->end : e->end;
			if (!(range->categories & PAGE_IS_GUARD))
				r = fn(ctx, e, start, end);
		}
	}
	return r;
}

struct sizes {
	uint64_t all, readable;
};

static int add_size(void *ctx, const VmaEntry *e, uint64_t start, uint64_t end)
{
	struct sizes *sizes = ctx;
	sizes->all += end - start;
	if (e->prot & PROT_READ)
		sizes->readable += end - start;
	return 0;
}

uint64_t pages_predict(const struct vma_dump *v)
{
	struct sizes sizes = {0};
	each_piece(v, add_size, &sizes);
	return sizes.all;
}

/*
 * A write beyond RLIMIT_FSIZE would leave SIGXFSZ behind; page cache that the task makes counts
 * for its memory cgroup, and must not get it killed.
 */
static bool want_visit(struct vma_dump *v)
{
	struct sizes sizes = {0};
	each_piece(v, add_size, &sizes);
	if (sizes.readable < INSIDE_MIN)
		return false;
	/* if the tool dies, seccomp is back in force and would kill the task in the middle */
	if (leader(v->t)->status.seccomp)
		return false;
	struct proc_limits limits;
	if (proc_limits_read(v->s, v->t->pid, &limits) < 0 ||
		limits.limit[RLIMIT_FSIZE].cur < sizes.all)
		return false;
	return memory_cgroup_allows(v->s, v->t->pid, getpid());
}

int pages_prepare(struct vma_dump *v)
{
	v->pages_id = v->s->images->next_pages_id++;
	if (!want_visit(v))
		return 0;
	int r = vdso_dump_keep(v);
	return r < 0 ? r : 1;
}

/* --- the pagemap --- */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void find_stack_pages(struct plan *p)
{
	const struct task *t = p->v->t;
	p->stack_pages = arena_array(&p->s->arena, uint64_t, t->threads.n);
	vec_for_each (&t->threads, th)
		p->stack_pages[p->n_stack_pages++] =
			arch_sp(&(*th)->regs.gp) & ~(uint64_t)(PAGE - 1);
	qsort(p->stack_pages, p->n_stack_pages, sizeof(uint64_t), by_value);
}

/* The first stack page at or behind addr, or the end of memory. */
static uint64_t next_stack_page(const struct plan *p, uint64_t addr)
{
	size_t low = 0, high = p->n_stack_pages;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (p->stack_pages[mid] < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low < p->n_stack_pages ? p->stack_pages[low] : UINT64_MAX;
}

static void add_chunks(struct plan *p, uint64_t addr, uint64_t len, uint64_t offset, bool readable)
{
	struct page_chunk *last = p->chunks.n ? &p->chunks.v[p->chunks.n - 1] : NULL;
	if (last && last->addr + last->len == addr && last->readable == readable &&
		last->len + len <= PAGES_CHUNK_MAX) {
		last->len += len;
		return;
	}
	while (len) {
		uint64_t part = len < PAGES_CHUNK_MAX ? len : PAGES_CHUNK_MAX;
		*vec_push(&p->s->arena, &p->chunks) =
			(struct page_chunk){addr, part, offset, readable};
		addr += part;
		offset += part;
		len -= part;
	}
}

static int add_entry(
	struct plan *p, const VmaEntry *e, uint64_t start, uint64_t end, uint32_t flags)
{
	uint64_t offset;
	int r = pages_writer_add(p->s, &p->out, start, (end - start) / PAGE, flags, &offset);
	if (r >= 0)
		add_chunks(p, start, end - start, offset, e->prot & PROT_READ);
	return r;
}

/* Pages that a thread will touch at once are never left for later. */
static int add_piece(void *ctx, const VmaEntry *e, uint64_t start, uint64_t end)
{
	struct plan *p = ctx;
	int r = 0;
	if (!vma_may_be_lazy(e))
		return add_entry(p, e, start, end, PE_PRESENT);
	while (start < end && r >= 0) {
		uint64_t stack = next_stack_page(p, start);
		uint64_t stop = stack < end ? stack : end;
		if (start < stop)
			r = add_entry(p, e, start, stop, PE_PRESENT | PE_LAZY);
		if (stack == stop && stack < end && r >= 0) {
			r = add_entry(p, e, stack, stack + PAGE, PE_PRESENT);
			stop += PAGE;
		}
		start = stop;
	}
	return r;
}

/* --- the data --- */

/* Puts the task's own bytes where the agent's stub may have been read. */
static int restore_kept(struct plan *p, int fd)
{
	vec_for_each (&p->v->kept, k) {
		vec_for_each (&p->chunks, c) {
			uint64_t start = c->addr > k->addr ? c->addr : k->addr;
			uint64_t c_end = c->addr + c->len, k_end = k->addr + k->len;
			uint64_t end = c_end < k_end ? c_end : k_end;
			if (start >= end)
				continue;
			ssize_t n = pwrite(fd, k->data + (start - k->addr), end - start,
				(off_t)(c->offset + (start - c->addr)));
			if (n != (ssize_t)(end - start))
				return fail(p->s, n < 0 ? errno : ENOSPC,
					"write to %s/pages-%u.img", p->out.dir->path,
					p->out.pages_id);
			checksums_changed(p->v->sums, c->offset + (start - c->addr), end - start);
		}
	}
	return 0;
}

static int write_data(struct plan *p, struct visit *visit)
{
	int fd;
	if (!p->chunks.n)
		return 0;
	int r = pages_writer_fd(p->s, &p->out, &fd);
	if (r < 0)
		return r;
	if (visit)
		p->v->sums = checksums_early(p->s, IMG_PAGES, p->out.pages_id, p->out.size);
	if (visit)
		r = pages_write_inside(p->s, p->v, visit, fd, p->chunks.v, p->chunks.n);
	else
		r = pages_copy_by_both(p->s, p->v, fd, p->chunks.v, p->chunks.n);
	return r < 0 ? r : restore_kept(p, fd);
}

static void count(struct plan *p, uint64_t start_us, uint64_t mapped_us)
{
	struct run_stats *stats = &p->s->stats;
	vec_for_each (&p->v->vmas, vma)
		if (vma_has_dumped_pages(&vma->e))
			stats->pages_scanned += (vma->e.end - vma->e.start) / PAGE;
	stats->pages_written += p->out.size / PAGE;
	stats->memdump_us += (uint32_t)(now_us() - start_us);
	stats->memwrite_us += (uint32_t)(now_us() - mapped_us);
}

static int dump(struct plan *p, struct visit *visit)
{
	uint64_t start_us = now_us();
	find_stack_pages(p);
	int r = pages_writer_open_as(p->s, &p->out, p->s->images, IMG_PAGEMAP,
		(uint64_t)p->v->t->vpid, p->v->pages_id);
	if (r >= 0)
		r = each_piece(p->v, add_piece, p);
	uint64_t mapped_us = now_us();
	if (r >= 0)
		r = write_data(p, visit);
	if (r < 0)
		return r;
	count(p, start_us, mapped_us);
	return pages_writer_close(p->s, &p->out);
}

int pages_dump_task(struct session *s, struct task *t, struct vma_dump *v, struct visit *visit)
{
	(void)t; /* it is v->t */
	v->s = s;
	struct plan p = {.s = s, .v = v, .out = PAGES_WRITER_NONE};
	int r = dump(&p, visit);
	pages_writer_release(&p.out);
	return r;
}
