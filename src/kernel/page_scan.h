/*
 * Which pages of a task's mappings exist, and of what kind: PAGEMAP_SCAN (Linux 6.7), or the
 * words of /proc/PID/pagemap on older kernels.
 */
#ifndef FERMATA_KERNEL_PAGE_SCAN_H
#define FERMATA_KERNEL_PAGE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/cleanup.h"

struct session;

/* Categories, as in <linux/fs.h> of 6.7 and later; GUARD came with 6.15. */
#define PAGE_IS_WPALLOWED  (1 << 0)
#define PAGE_IS_WRITTEN    (1 << 1)
#define PAGE_IS_FILE       (1 << 2)
#define PAGE_IS_PRESENT    (1 << 3)
#define PAGE_IS_SWAPPED    (1 << 4)
#define PAGE_IS_PFNZERO    (1 << 5)
#define PAGE_IS_HUGE       (1 << 6)
#define PAGE_IS_SOFT_DIRTY (1 << 7)
#define PAGE_IS_GUARD      (1 << 8)

/* Flags of a query: only with the ioctl. */
#define PM_SCAN_WP_MATCHING   (1 << 0) /* write-protect what matched (userfaultfd async mode) */
#define PM_SCAN_CHECK_WPASYNC (1 << 1) /* EPERM if a VMA is not registered for that */

/* Addresses in bytes; categories are cut down to the query's report mask. */
struct page_range {
	uint64_t start, end, categories;
};

typedef VEC(struct page_range) page_range_vec;

/*
 * A page matches if each category of required is set and each of forbidden is not, and, with a
 * nonzero any_of, at least one of these is set.
 */
struct page_query {
	uint64_t required, forbidden, any_of, report;
	uint64_t flags; /* PM_SCAN_* */
};

/* One task's pagemap. */
struct page_scan {
	int fd;
	pid_t pid;
	uint64_t known;    /* categories that the ioctl takes; 0 = there is no ioctl */
	uint64_t zero_pfn; /* without the ioctl; 0 = not known, so nothing counts as PFNZERO */
};

/* -ENOENT/-ESRCH when the task is gone. Close with page_scan_close(). */
int page_scan_open(struct session *s, pid_t pid, struct page_scan *ret);
void page_scan_close(struct page_scan *ps);
#define _cleanup_page_scan_ _cleanup_(page_scan_close)

/*
 * Appends the matching ranges of [start, end), which must be page aligned; adjacent ones with
 * equal categories are merged, also with the last one already in out.
 *
 * Categories and flags that the kernel cannot tell about are -EOPNOTSUPP (recorded) in required,
 * any_of and flags, and count as never set in forbidden and report.  Without the ioctl these are
 * WPALLOWED and HUGE, and PFNZERO too without CAP_SYS_ADMIN.  Guard pages of 6.13 and 6.14 look
 * SWAPPED.  Pages never touched may or may not be WRITTEN (kernels differ): combine it with
 * PRESENT and SWAPPED.
 */
int page_scan(struct session *s, const struct page_scan *ps, uint64_t start, uint64_t end,
	const struct page_query *q, page_range_vec *out);

/* The same through pagemap words, whatever the kernel offers. For tests and page_scan(). */
int page_scan_words(struct session *s, const struct page_scan *ps, uint64_t start, uint64_t end,
	const struct page_query *q, page_range_vec *out);

/* Pagemap words (Documentation/admin-guide/mm/pagemap.rst). */
#define PM_WORD_PFN(word)  ((word) & ((UINT64_C(1) << 55) - 1))
#define PM_WORD_SOFT_DIRTY (UINT64_C(1) << 55)
#define PM_WORD_EXCLUSIVE  (UINT64_C(1) << 56) /* mapped exactly once */
#define PM_WORD_UFFD_WP    (UINT64_C(1) << 57)
#define PM_WORD_GUARD      (UINT64_C(1) << 58) /* 6.15 */
#define PM_WORD_FILE       (UINT64_C(1) << 61) /* page cache or shared anonymous */
#define PM_WORD_SWAPPED    (UINT64_C(1) << 62)
#define PM_WORD_PRESENT    (UINT64_C(1) << 63)

/* Reads one word per page from start on. Words beyond the address space are 0. */
int pagemap_read_words(struct session *s, const struct page_scan *ps, uint64_t start,
	size_t n_pages, uint64_t *words);

/* Frame numbers for finding shared (COW) pages; 0 = not present, or no CAP_SYS_ADMIN. */
int pagemap_read_pfns(struct session *s, const struct page_scan *ps, uint64_t start, size_t n_pages,
	uint64_t *pfns);

/* Frame of this kernel's zero page, 0 = cannot be known. */
uint64_t pagemap_zero_pfn(void);

/* Bytes per page. */
uint64_t page_size(void);

/* Appends r, merging it into the last range where it continues that. */
void page_range_add(struct arena *a, page_range_vec *out, struct page_range r);

#endif
