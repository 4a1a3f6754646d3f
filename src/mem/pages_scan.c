/*
 * Which pages of a task exist (spec/images-process.md 6.4, 7.2).
 *
 * With PAGEMAP_SCAN and its GUARD category, one walk over the whole address space tells contents
 * and guard ranges; guards may be in any VMA.  Without, only VMAs that can have contents of their
 * own are looked at.  Pages still in the page cache and zero pages are not contents.
 */
#include "mem/vma_dump.h"

#include <errno.h>
#include <string.h>

enum { LARGE = 16 << 20 };

/* Smaps, where it was read, counts no huge pages as Anonymous. */
static bool may_have_pages(const struct dumped_vma *vma)
{
	const struct vma_info *info = vma->info;
	bool counts_any = info->anonymous || info->swap || info->vmflags & VMF(HT);
	return vma_has_dumped_pages(&vma->e) && !(vma->e.status & VMA_VDSO) &&
	       (counts_any || !info->has_smaps);
}

static int scan_each(struct vma_dump *v, const struct page_scan *ps, const struct page_query *q)
{
	for (size_t i = 0; i < v->vmas.n; i++) {
		const struct dumped_vma *vma = &v->vmas.v[i];
		if (!may_have_pages(vma))
			continue;
		int r = page_scan(v->s, ps, vma->e.start, vma->e.end, q, &v->pages);
		if (r < 0)
			return r;
	}
	return 0;
}

/* All pages of AIO rings are contents, though they are of a file. */
static void add_rings(struct vma_dump *v)
{
	vec_for_each (&v->vmas, vma) {
		if (!(vma->e.status & VMA_AIORING))
			continue;
		size_t at = 0;
		while (at < v->pages.n && v->pages.v[at].start < vma->e.start)
			at++;
		(void)vec_push(&v->s->arena, &v->pages);
		struct page_range *r = &v->pages.v[at];
		memmove(r + 1, r, (v->pages.n - 1 - at) * sizeof(*r));
		*r = (struct page_range){.start = vma->e.start, .end = vma->e.end};
	}
}

/* Contents, and guards where the kernel tells of them. */
static const struct page_query query = {
	.any_of = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
	.forbidden = PAGE_IS_FILE | PAGE_IS_PFNZERO,
	.report = PAGE_IS_GUARD,
};

/* Where nothing is of a file. To see that, the kernel looks at each page, for ten times as long. */
static const struct page_query anonymous_query = {
	.any_of = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
	.forbidden = PAGE_IS_PFNZERO,
	.report = PAGE_IS_GUARD,
};

static bool is_large_anonymous(const struct dumped_vma *vma)
{
	return vma->e.status & VMA_ANON_PRIVATE && !(vma->info->vmflags & VMF(HT)) &&
	       vma->e.end - vma->e.start >= LARGE;
}

/* All of the address space, with regard to the VMAs that are known by now. */
static int scan_all(struct vma_dump *v, const struct page_scan *ps)
{
	uint64_t at = 0;
	int r = 0;
	for (size_t i = 0; i < v->vmas.n && r >= 0; i++) {
		const VmaEntry *e = &v->vmas.v[i].e;
		if (!is_large_anonymous(&v->vmas.v[i]))
			continue;
		r = page_scan(v->s, ps, at, e->start, &query, &v->pages);
		if (r >= 0)
			r = page_scan(v->s, ps, e->start, e->end, &anonymous_query, &v->pages);
		at = e->end;
	}
	return r < 0 ? r : page_scan(v->s, ps, at, ARCH_TASK_SIZE, &query, &v->pages);
}

static int failed(const struct vma_dump *v, int r)
{
	return r == -ESRCH ? fail(v->s, r, "pid %d died while it was being dumped", v->t->pid) : r;
}

static int open_scan(const struct vma_dump *v, struct page_scan *ret)
{
	int r = page_scan_open(v->s, v->t->pid, ret);
	return r < 0 ? fail(v->s, r, "pid %d: open its pagemap", v->t->pid) : 0;
}

int pages_scan_early(void *vma_dump)
{
	struct vma_dump *v = vma_dump;
	_cleanup_page_scan_ struct page_scan ps;
	int r = open_scan(v, &ps);
	if (r < 0 || !(ps.known & PAGE_IS_GUARD))
		return r;
	v->scanned = v->knows_guards = true;
	return failed(v, scan_all(v, &ps));
}

int pages_scan_task(struct vma_dump *v)
{
	if (!v->vmas.n)
		return 0;
	int r = v->scanned ? 0 : pages_scan_early(v);
	if (r >= 0 && !v->scanned) {
		_cleanup_page_scan_ struct page_scan ps;
		r = open_scan(v, &ps);
		if (r >= 0)
			r = failed(v, scan_each(v, &ps, &query));
	}
	if (r >= 0)
		add_rings(v);
	return r;
}
