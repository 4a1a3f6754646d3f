/*
 * The PAGEMAP_SCAN ioctl of /proc/PID/pagemap (ioctl_pagemap_scan(2const); fs/proc/task_mmu.c
 * do_pagemap_scan()): one call walks any number of VMAs and reports ranges, not pages.
 *
 * A kernel without it says ENOTTY, one that does not know a category EINVAL; a scan of an empty
 * range at open tells which it is.  Fallback: page_words.c.
 */
#include "kernel/page_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/session.h"
#include "kernel/procfs.h"

enum {
	ALL_CATEGORIES_6_7 = (PAGE_IS_SOFT_DIRTY << 1) - 1,
	ALL_CATEGORIES = (PAGE_IS_GUARD << 1) - 1,
	N_REGIONS = 512, /* the kernel's own bounce buffer holds as many */
};

/* struct pm_scan_arg of <linux/fs.h>. */
struct scan_arg {
	uint64_t size, flags;
	uint64_t start, end, walk_end;
	uint64_t vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN_IOCTL _IOWR('f', 16, struct scan_arg)

uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

void page_range_add(struct arena *a, page_range_vec *out, struct page_range r)
{
	struct page_range *last = out->n ? &out->v[out->n - 1] : NULL;
	if (last && last->end == r.start && last->categories == r.categories)
		last->end = r.end;
	else
		*vec_push(a, out) = r;
}

static uint64_t probe_categories(int fd)
{
	static const uint64_t sets[] = {ALL_CATEGORIES, ALL_CATEGORIES_6_7};
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		struct scan_arg arg = {.size = sizeof(arg), .return_mask = sets[i]};
		if (ioctl(fd, SCAN_IOCTL, &arg) >= 0)
			return sets[i];
	}
	return 0;
}

int page_scan_open(struct session *s, pid_t pid, struct page_scan *ret)
{
	*ret = (struct page_scan){.fd = -1, .pid = pid};
	int fd = proc_open_pid(s, pid, "pagemap", O_RDONLY);
	if (fd < 0)
		return fd;
	ret->fd = fd;
	ret->known = probe_categories(fd);
	if (!ret->known)
		ret->zero_pfn = pagemap_zero_pfn();
	return 0;
}

void page_scan_close(struct page_scan *ps)
{
	cleanup_close(&ps->fd);
	ps->fd = -1;
}

static int scan_failed(struct session *s, const struct page_scan *ps, int err, uint64_t at)
{
	if (err == ESRCH)
		return -ESRCH;
	return fail(
		s, err, "pid %d: cannot scan pages from %#llx", ps->pid, (unsigned long long)at);
}

static int scan_by_ioctl(
	struct session *s, const struct page_scan *ps, struct scan_arg *arg, page_range_vec *out)
{
	struct page_range regions[N_REGIONS]; /* laid out like struct page_region */
	arg->size = sizeof(*arg);
	arg->vec = (uintptr_t)regions;
	arg->vec_len = N_REGIONS;
	while (arg->start < arg->end) {
		int n = ioctl(ps->fd, SCAN_IOCTL, arg);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return scan_failed(s, ps, errno, arg->start);
		for (int i = 0; i < n; i++)
			page_range_add(&s->arena, out, regions[i]);
		if (arg->walk_end <= arg->start && !n) /* no task memory left to walk */
			return 0;
		arg->start = arg->walk_end;
	}
	return 0;
}

int page_scan(struct session *s, const struct page_scan *ps, uint64_t start, uint64_t end,
	const struct page_query *q, page_range_vec *out)
{
	if (!ps->known)
		return page_scan_words(s, ps, start, end, q, out);
	if ((q->required | q->any_of) & ~ps->known)
		return fail(s, EOPNOTSUPP,
			"pid %d: this kernel cannot scan for page categories %#llx", ps->pid,
			(unsigned long long)((q->required | q->any_of) & ~ps->known));
	uint64_t forbidden = q->forbidden & ps->known;
	struct scan_arg arg = {
		.flags = q->flags,
		.start = start,
		.end = end,
		.category_inverted = forbidden,
		.category_mask = q->required | forbidden,
		.category_anyof_mask = q->any_of,
		.return_mask = q->report & ps->known,
	};
	return scan_by_ioctl(s, ps, &arg, out);
}
