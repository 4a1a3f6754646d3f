/* Both ways of page_scan() over mappings of every kind, against each other and against the truth.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test_proc.h"

#include "kernel/page_scan.h"
#include "kernel/syscalls.h"

enum { N_PAGES = 64 };

static const uint64_t plain =
	PAGE_IS_PRESENT | PAGE_IS_SWAPPED | PAGE_IS_FILE | PAGE_IS_PFNZERO | PAGE_IS_SOFT_DIRTY;

/* Adjacent, separated by what they are: private, zero-page reads, file, COWed file, shared. */
struct ground {
	char *base;
	size_t page;
};

static char *at(const struct ground *g, int page)
{
	return g->base + (size_t)page * g->page;
}

static void map_over(const struct ground *g, int page, int n, int flags, int fd)
{
	void *p = mmap(
		at(g, page), (size_t)n * g->page, PROT_READ | PROT_WRITE, MAP_FIXED | flags, fd, 0);
	assert_ptr_equal(p, at(g, page));
}

static int backing_file(size_t size)
{
	char path[] = "/tmp/fermata-pages-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	char *bytes = calloc(1, size);
	memset(bytes, 'x', size);
	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	free(bytes);
	return fd;
}

static void lay_ground(struct ground *g)
{
	g->page = (size_t)sysconf(_SC_PAGESIZE);
	g->base = mmap(NULL, N_PAGES * g->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		-1, 0);
	assert_true(g->base != MAP_FAILED);
	madvise(g->base, N_PAGES * g->page, MADV_NOHUGEPAGE);
	int fd = backing_file(8 * g->page);
	map_over(g, 16, 8, MAP_PRIVATE, fd);
	map_over(g, 32, 8, MAP_SHARED | MAP_ANONYMOUS, -1);
	map_over(g, 48, 8, MAP_SHARED, fd);
	close(fd);
	volatile char sink;
	for (int i = 0; i < 4; i++) {
		*at(g, i) = 1;         /* private anonymous */
		sink = *at(g, 8 + i);  /* zero page */
		*at(g, 16 + i) = 1;    /* COWed file */
		sink = *at(g, 20 + i); /* file, read only */
		*at(g, 32 + i) = 1;    /* shared anonymous */
		sink = *at(g, 48 + i); /* shared file */
	}
	(void)sink;
	assert_int_equal(munmap(at(g, 60), g->page), 0);
}

static void clear_ground(struct ground *g)
{
	munmap(g->base, N_PAGES * g->page);
}

static void assert_same(const page_range_vec *a, const page_range_vec *b)
{
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++)
		assert_memory_equal(&a->v[i], &b->v[i], sizeof(a->v[i]));
}

static void scan_both(
	struct session *s, const struct ground *g, const struct page_query *q, page_range_vec *ret)
{
	_cleanup_page_scan_ struct page_scan ps;
	assert_int_equal(page_scan_open(s, getpid(), &ps), 0);
	uint64_t start = (uintptr_t)g->base, end = start + N_PAGES * g->page;
	*ret = (page_range_vec){0};
	ps.zero_pfn = pagemap_zero_pfn();
	if (!ps.zero_pfn)
		skip(); /* without CAP_SYS_ADMIN the words do not tell the zero page */
	assert_int_equal(page_scan_words(s, &ps, start, end, q, ret), 0);
	if (!ps.known)
		return;
	page_range_vec by_ioctl = {0};
	assert_int_equal(page_scan(s, &ps, start, end, q, &by_ioctl), 0);
	assert_same(&by_ioctl, ret);
}

static bool covered(page_range_vec *v, const char *page)
{
	vec_for_each (v, r)
		if (r->start <= (uintptr_t)page && (uintptr_t)page < r->end)
			return true;
	return false;
}

static void test_all_categories(void **state)
{
	struct session *s = *state;
	struct ground g;
	page_range_vec v;
	lay_ground(&g);
	scan_both(s, &g, &(struct page_query){.any_of = PAGE_IS_PRESENT, .report = plain}, &v);
	const struct {
		int page;
		uint64_t categories;
	} truth[] = {
		{0, PAGE_IS_PRESENT},
		{8, PAGE_IS_PRESENT | PAGE_IS_PFNZERO},
		{16, PAGE_IS_PRESENT},
		{20, PAGE_IS_PRESENT | PAGE_IS_FILE},
		{32, PAGE_IS_PRESENT | PAGE_IS_FILE},
		{48, PAGE_IS_PRESENT | PAGE_IS_FILE},
	};
	for (size_t i = 0; i < sizeof(truth) / sizeof(truth[0]); i++) {
		bool found = false;
		vec_for_each (&v, r) {
			if ((char *)r->start > at(&g, truth[i].page) ||
				(char *)r->end <= at(&g, truth[i].page))
				continue;
			assert_int_equal(
				r->categories & ~(uint64_t)PAGE_IS_SOFT_DIRTY, truth[i].categories);
			found = true;
		}
		assert_true(found);
	}
	clear_ground(&g);
}

/* The query of a dump: what must be written for a private mapping. */
static void test_dump_query(void **state)
{
	struct session *s = *state;
	struct ground g;
	page_range_vec v;
	lay_ground(&g);
	const struct page_query q = {
		.any_of = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.forbidden = PAGE_IS_PFNZERO | PAGE_IS_FILE,
		.report = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
	};
	scan_both(s, &g, &q, &v);
	for (int i = 0; i < 60; i++) {
		bool wanted = i < 4 || (i >= 16 && i < 20);
		assert_int_equal(covered(&v, at(&g, i)), wanted);
	}
	assert_int_equal(v.n, 2);
	clear_ground(&g);
}

/* More ranges than one ioctl or one read of words returns. */
static void test_many_ranges(void **state)
{
	struct session *s = *state;
	const size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 10000;
	char *base =
		mmap(NULL, n * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(base != MAP_FAILED);
	madvise(base, n * page, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < n; i += 2)
		base[i * page] = 1;
	_cleanup_page_scan_ struct page_scan ps;
	assert_int_equal(page_scan_open(s, getpid(), &ps), 0);
	const struct page_query q = {.required = PAGE_IS_PRESENT, .report = PAGE_IS_PRESENT};
	page_range_vec a = {0}, b = {0};
	uint64_t start = (uintptr_t)base;
	assert_int_equal(page_scan(s, &ps, start, start + n * page, &q, &a), 0);
	assert_int_equal(page_scan_words(s, &ps, start, start + n * page, &q, &b), 0);
	assert_int_equal(a.n, n / 2);
	assert_same(&a, &b);
	munmap(base, n * page);
}

static void test_guard(void **state)
{
	struct session *s = *state;
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *base =
		mmap(NULL, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	_cleanup_page_scan_ struct page_scan ps;
	assert_int_equal(page_scan_open(s, getpid(), &ps), 0);
	if (!(ps.known & PAGE_IS_GUARD) || madvise(base + 2 * page, 2 * page, MADV_GUARD_INSTALL))
		skip();
	base[0] = 1;
	const struct page_query q = {.required = PAGE_IS_GUARD, .report = PAGE_IS_GUARD};
	page_range_vec a = {0}, b = {0};
	uint64_t start = (uintptr_t)base, end = start + 8 * page;
	assert_int_equal(page_scan(s, &ps, start, end, &q, &a), 0);
	assert_int_equal(page_scan_words(s, &ps, start, end, &q, &b), 0);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.v[0].start, start + 2 * page);
	assert_int_equal(a.v[0].end, start + 4 * page);
	assert_same(&a, &b);
	munmap(base, 8 * page);
}

static void test_pfns(void **state)
{
	struct session *s = *state;
	struct ground g;
	uint64_t pfns[12];
	lay_ground(&g);
	_cleanup_page_scan_ struct page_scan ps;
	assert_int_equal(page_scan_open(s, getpid(), &ps), 0);
	assert_int_equal(pagemap_read_pfns(s, &ps, (uintptr_t)g.base, 12, pfns), 0);
	uint64_t zero = pagemap_zero_pfn();
	if (!zero)
		skip();
	assert_int_not_equal(pfns[0], 0);
	assert_int_not_equal(pfns[0], pfns[1]);
	assert_int_equal(pfns[4], 0);
	assert_int_equal(pfns[8], zero);
	clear_ground(&g);
}

static void test_refusals(void **state)
{
	struct session *s = *state;
	_cleanup_page_scan_ struct page_scan ps, none;
	assert_int_equal(page_scan_open(s, 0x3fffffff, &none), -ENOENT);
	assert_int_equal(s->failure.err, 0);
	assert_int_equal(page_scan_open(s, getpid(), &ps), 0);
	const struct page_query q = {.required = PAGE_IS_WPALLOWED};
	page_range_vec v = {0};
	assert_int_equal(page_scan_words(s, &ps, 0x10000, 0x20000, &q, &v), -EOPNOTSUPP);
	assert_int_equal(s->failure.err, EOPNOTSUPP);
	const struct page_query all = {.report = plain};
	assert_int_equal(page_scan(s, &ps, 0x10000, 0x10000, &all, &v), 0);
	assert_int_equal(v.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_session(test_all_categories),
		with_session(test_dump_query),
		with_session(test_many_ranges),
		with_session(test_guard),
		with_session(test_pfns),
		with_session(test_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
