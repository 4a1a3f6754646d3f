/* Probes of mappings: moving special ones, tracking changes, userfaultfd. */
#include "cli/check_probes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { PAGE = 4096, PM_SOFT_DIRTY = 55, GUARD_INSTALL = 102 };
enum { MAP_VDSO_32 = 0x2002, MAP_VDSO_64 = 0x2003 };
#define WP_ASYNC (1ull << 15) /* UFFD_FEATURE_WP_ASYNC */

/* struct pm_scan_arg of linux/fs.h since 6.7; guard pages since 6.15 */
struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
struct scan_region {
	uint64_t start, end, categories;
};
#define SCAN_IOCTL   _IOWR('f', 16, struct scan_arg)
#define SCAN_PRESENT (1ull << 3)
#define SCAN_GUARD   (1ull << 8)

static void *map_pages(size_t n)
{
	void *m = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return m == MAP_FAILED ? NULL : m;
}

static int splice_unaligned(void)
{
	int ends[2];
	char *m = map_pages(1);
	if (!m || pipe(ends))
		return -errno;
	struct iovec iov = {m + 3, 5};
	return result(vmsplice(ends[1], &iov, 1, 0));
}

int probe_vmsplice(void)
{
	return in_child(splice_unaligned);
}

static int move_vdso(void)
{
	char line[512];
	unsigned long start, end;
	_cleanup_fclose_ FILE *f = fopen("/proc/self/maps", "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (!strstr(line, "[vdso]") || sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		size_t len = end - start;
		void *to = map_pages(len / PAGE);
		void *now = mremap((void *)start, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
		return now == MAP_FAILED ? -errno : 0;
	}
	return -ENOENT;
}

int probe_mremap_vdso(void)
{
	return in_child(move_vdso);
}

static int map_vdso(int which)
{
#if defined(__x86_64__)
	/* With one mapped already the kernel that can do it says EEXIST. */
	long ret = syscall(SYS_arch_prctl, which, map_pages(64));
	return ret >= 0 || errno == EEXIST ? 0 : -errno;
#else
	(void)which;
	return -ENOSYS;
#endif
}

static int map_vdso_64(void)
{
	return map_vdso(MAP_VDSO_64);
}

static int map_vdso_32(void)
{
	return map_vdso(MAP_VDSO_32);
}

int probe_map_vdso(void)
{
	return in_child(map_vdso_64);
}

int probe_compat(void)
{
	return in_child(map_vdso_32);
}

/* Whether a scan of the page finds the category. */
static int scan_page(void *page, uint64_t category)
{
	struct scan_region found = {0};
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = (uintptr_t)page,
		.end = (uintptr_t)page + PAGE,
		.vec = (uintptr_t)&found,
		.vec_len = 1,
		.category_anyof_mask = category,
		.return_mask = category,
	};
	_cleanup_close_ int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, SCAN_IOCTL, &arg) < 0)
		return -errno;
	return found.categories & category ? 0 : -ENODATA;
}

static int scan_present(void)
{
	char *m = map_pages(1);
	if (!m)
		return -errno;
	*m = 1;
	return scan_page(m, SCAN_PRESENT);
}

int probe_pagemap_scan(void)
{
	return in_child(scan_present);
}

static int scan_guard(void)
{
	char *m = map_pages(1);
	if (!m || madvise(m, PAGE, GUARD_INSTALL))
		return -errno;
	return scan_page(m, SCAN_GUARD);
}

int probe_guard_pages(void)
{
	return in_child(scan_guard);
}

static int open_uffd(uint64_t features)
{
	struct uffdio_api api = {.api = UFFD_API, .features = features};
	_cleanup_close_ int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return result(ioctl(fd, UFFDIO_API, &api));
}

int probe_uffd(void)
{
	return open_uffd(0);
}

static int open_uffd_noncoop(void)
{
	return open_uffd(UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP |
			 UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMOVE);
}

int probe_uffd_noncoop(void)
{
	return in_child(open_uffd_noncoop);
}

/* Clearing marks, writing a page and seeing its mark come back. */
static int track_soft_dirty(void)
{
	uint64_t entry = 0;
	volatile char *m = map_pages(1);
	_cleanup_close_ int clear = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	_cleanup_close_ int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	off_t at = (off_t)((uintptr_t)m / PAGE * sizeof(entry));
	if (!m || clear < 0 || pagemap < 0)
		return -errno;
	*m = 1;
	if (write(clear, "4", 1) != 1 || pread(pagemap, &entry, sizeof(entry), at) < 0)
		return -errno;
	if (entry >> PM_SOFT_DIRTY & 1)
		return -ENOTSUP;
	*m = 2;
	if (pread(pagemap, &entry, sizeof(entry), at) < 0)
		return -errno;
	return entry >> PM_SOFT_DIRTY & 1 ? 0 : -ENOTSUP;
}

int probe_dirty_track(void)
{
	if (!in_child(track_soft_dirty))
		return 0;
	int err = probe_pagemap_scan();
	return err ? err : open_uffd(WP_ASYNC);
}

/* The ring's address is the context id: after a move the kernel must know the new one. */
static int move_aio_ring(void)
{
	aio_context_t ring = 0;
	struct io_event event;
	struct timespec none = {0};
	if (syscall(SYS_io_setup, 1, &ring) < 0)
		return -errno;
	unsigned long start = 0, end = 0, from = (unsigned long)ring;
	char line[512];
	_cleanup_fclose_ FILE *f = fopen("/proc/self/maps", "re");
	while (f && start != from && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx", &start, &end) != 2)
			return -EIO;
	if (start != from)
		return -ENOENT;
	size_t len = end - start;
	void *to = mremap(
		(void *)from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, map_pages(len / PAGE));
	if (to == MAP_FAILED)
		return -errno;
	return result(syscall(SYS_io_getevents, (aio_context_t)(uintptr_t)to, 0, 1, &event, &none));
}

int probe_aio_remap(void)
{
	return in_child(move_aio_ring);
}

int probe_memfd_hugetlb(void)
{
	_cleanup_close_ int fd = memfd_create("fermata-check", MFD_HUGETLB | MFD_CLOEXEC);
	return result(fd);
}
