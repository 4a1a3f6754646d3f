/*
 * /proc/PID/pagemap as an array of 64-bit words, one per page
 * (Documentation/admin-guide/mm/pagemap.rst; fs/proc/task_mmu.c pagemap_read()).
 *
 * Frame numbers read as 0 without CAP_SYS_ADMIN in the initial user namespace.  The zero page is
 * recognised by its frame, learnt from a read of an untouched private mapping of our own; the
 * huge zero page shows as FILE here, which keeps it out of dumps just as well.
 */
#include "kernel/page_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/session.h"

enum {
	N_WORDS = 4096, /* per read */
	WORD_CATEGORIES = PAGE_IS_WRITTEN | PAGE_IS_FILE | PAGE_IS_PRESENT | PAGE_IS_SWAPPED |
		PAGE_IS_PFNZERO | PAGE_IS_SOFT_DIRTY | PAGE_IS_GUARD,
};

static int read_words(int fd, uint64_t first_page, size_t n_pages, uint64_t *words)
{
	char *at = (char *)words;
	size_t left = n_pages * sizeof(*words);
	off_t offset = (off_t)(first_page * sizeof(*words));
	while (left) {
		ssize_t n = pread(fd, at, left, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n) { /* beyond the address space */
			memset(at, 0, left);
			return 0;
		}
		at += n;
		offset += n;
		left -= (size_t)n;
	}
	return 0;
}

int pagemap_read_words(struct session *s, const struct page_scan *ps, uint64_t start,
	size_t n_pages, uint64_t *words)
{
	int err = read_words(ps->fd, start / page_size(), n_pages, words);
	if (err == -ESRCH)
		return err;
	return !err ? 0
		    : fail(s, err, "pid %d: cannot read the pagemap at %#llx", ps->pid,
			      (unsigned long long)start);
}

int pagemap_read_pfns(struct session *s, const struct page_scan *ps, uint64_t start, size_t n_pages,
	uint64_t *pfns)
{
	int err = pagemap_read_words(s, ps, start, n_pages, pfns);
	for (size_t i = 0; !err && i < n_pages; i++)
		pfns[i] = pfns[i] & PM_WORD_PRESENT ? PM_WORD_PFN(pfns[i]) : 0;
	return err;
}

uint64_t pagemap_zero_pfn(void)
{
	size_t size = (size_t)page_size();
	_cleanup_close_ int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	volatile char *page =
		mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, /* offset= */ 0);
	if (page == MAP_FAILED)
		return 0;
	(void)page[0]; /* a read fault maps the zero page */
	uint64_t word = 0;
	int err = fd < 0 ? -1 : read_words(fd, (uintptr_t)page / size, 1, &word);
	munmap((void *)page, size);
	return err ? 0 : PM_WORD_PFN(word);
}

static uint64_t word_categories(uint64_t word, uint64_t zero_pfn)
{
	uint64_t categories = 0;
	if (word & PM_WORD_PRESENT)
		categories |= PAGE_IS_PRESENT;
	if (word & PM_WORD_SWAPPED)
		categories |= PAGE_IS_SWAPPED;
	if (categories && !(word & PM_WORD_UFFD_WP))
		categories |= PAGE_IS_WRITTEN;
	if (word & PM_WORD_FILE)
		categories |= PAGE_IS_FILE;
	if (word & PM_WORD_SOFT_DIRTY)
		categories |= PAGE_IS_SOFT_DIRTY;
	if (word & PM_WORD_GUARD)
		categories |= PAGE_IS_GUARD;
	if (word & PM_WORD_PRESENT && zero_pfn && PM_WORD_PFN(word) == zero_pfn)
		categories |= PAGE_IS_PFNZERO;
	return categories;
}

static bool matches(uint64_t categories, const struct page_query *q)
{
	return (categories & q->required) == q->required && !(categories & q->forbidden) &&
		(!q->any_of || categories & q->any_of);
}

static int check_query(struct session *s, const struct page_scan *ps, const struct page_query *q)
{
	uint64_t unknown = (q->required | q->any_of) & ~(uint64_t)WORD_CATEGORIES;
	if (!unknown && !q->flags)
		return 0;
	return fail_remedy(s, EOPNOTSUPP, "needs Linux 6.7 or later",
		"pid %d: the pagemap cannot tell page categories %#llx", ps->pid,
		(unsigned long long)unknown);
}

int page_scan_words(struct session *s, const struct page_scan *ps, uint64_t start, uint64_t end,
	const struct page_query *q, page_range_vec *out)
{
	const uint64_t size = page_size();
	uint64_t words[N_WORDS];
	int err = check_query(s, ps, q);
	while (!err && start < end) {
		uint64_t left = (end - start) / size;
		size_t n = left < N_WORDS ? (size_t)left : N_WORDS;
		if (!n)
			return 0;
		err = pagemap_read_words(s, ps, start, n, words);
		for (size_t i = 0; !err && i < n; i++, start += size) {
			uint64_t categories = word_categories(words[i], ps->zero_pfn);
			if (!matches(categories, q))
				continue;
			page_range_add(&s->arena, out,
				(struct page_range){start, start + size, categories & q->report});
		}
	}
	return err;
}
