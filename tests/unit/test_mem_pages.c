/* Page contents of a live child, copied from outside and written by the child itself. */
#include "test_mem.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "kernel/syscalls.h"

enum { PAGE = 4096, HEAP_PAGES = 4096 };

struct memory {
	char *heap, *hidden, *droppable;
};

/* Every third page of the heap untouched, one zero page, one guarded; a page without PROT_READ. */
static struct memory make_memory(void)
{
	const int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	struct memory m;
	m.heap = mmap(NULL, HEAP_PAGES * PAGE, prot, flags, -1, 0);
	madvise(m.heap, HEAP_PAGES * PAGE, MADV_NOHUGEPAGE);
	for (int i = 0; i < HEAP_PAGES; i++)
		if (i % 3)
			memset(m.heap + i * PAGE, 1 + i % 127, PAGE);
	volatile char *zero = m.heap;
	(void)zero[0];
	madvise(m.heap + PAGE, PAGE, MADV_GUARD_INSTALL);
	m.hidden = mmap(NULL, 3 * PAGE, prot, flags, -1, 0);
	memset(m.hidden, 'h', 3 * PAGE);
	mprotect(m.hidden + PAGE, PAGE, PROT_NONE);
	m.droppable = mmap(NULL, PAGE, prot, MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
	if (m.droppable != MAP_FAILED)
		memset(m.droppable, 'd', PAGE);
	return m;
}

static void drop_memory(struct memory *m)
{
	munmap(m->heap, HEAP_PAGES * PAGE);
	munmap(m->hidden, 3 * PAGE);
	if (m->droppable != MAP_FAILED)
		munmap(m->droppable, PAGE);
}

/* Each page of the image is what the stopped child has there. */
static void check_image(struct victim *v, const struct vma_dump *d, struct pagemap *map)
{
	struct session *s = v->s;
	assert_int_equal(pagemap_load(s, s->images, IMG_PAGEMAP, (uint64_t)v->t->vpid, map), 0);
	assert_int_equal(map->pages_size, pages_predict(d));
	_cleanup_close_ int fd = pagemap_open_pages(s, s->images, map, O_RDONLY);
	_cleanup_close_ int mem =
		open(arena_printf(&s->arena, "/proc/%d/mem", v->t->pid), O_RDONLY);
	static char stored[PAGE], live[PAGE];
	for (size_t i = 0; i < map->n; i++) {
		const struct pagemap_range *r = &map->ranges[i];
		for (uint64_t k = 0; k < r->nr_pages; k++) {
			uint64_t addr = r->vaddr + k * PAGE;
			assert_int_equal(pread(mem, live, PAGE, (off_t)addr), PAGE);
			assert_int_equal(
				pread(fd, stored, PAGE, (off_t)(r->offset + k * PAGE)), PAGE);
			if (memcmp(live, stored, PAGE))
				bad("page %lx differs", (unsigned long)addr);
		}
	}
}

static bool has_page(const struct pagemap *map, const char *addr)
{
	const struct pagemap_range *r = pagemap_find(map, (uintptr_t)addr);
	return r && r->vaddr <= (uintptr_t)addr;
}

static void check_memory(
	struct victim *v, const struct vma_dump *d, const struct memory *m, struct pagemap *map)
{
	assert_false(has_page(map, m->heap));
	assert_true(has_page(map, m->heap + 2 * PAGE));
	assert_false(has_page(map, m->heap + 3 * PAGE));
	if (d->knows_guards)
		assert_false(has_page(map, m->heap + PAGE));
	assert_true(has_page(map, m->hidden + PAGE));
	if (m->droppable != MAP_FAILED)
		assert_false(has_page(map, m->droppable));
	const char *stack = (const char *)arch_sp(&leader(v->t)->regs.gp);
	assert_int_equal(pagemap_find(map, (uintptr_t)stack)->flags, PE_PRESENT);
	assert_int_equal(
		pagemap_find(map, (uintptr_t)m->heap + 2 * PAGE)->flags, PE_PRESENT | PE_LAZY);
	for (size_t i = 0; i < v->t->mm->n_vmas; i++) {
		const VmaEntry *e = v->t->mm->vmas[i];
		if (e->status & VMA_VDSO)
			for (uint64_t at = e->start; at < e->end; at += PAGE)
				assert_true(has_page(map, (const char *)at));
	}
}

static int begin_visit(struct victim *v, struct vma_dump *d, struct visit **ret)
{
	assert_int_equal(pages_prepare(d), 1);
	for (size_t i = 0; i < v->t->mm->n_vmas; i++) {
		const VmaEntry *e = v->t->mm->vmas[i];
		if (e->status & VMA_VDSO)
			return visit_begin(v->s, v->t, e->start, e->end - e->start, ret);
	}
	return visit_begin(v->s, v->t, 0, 0, ret);
}

static size_t count_fds(struct victim *v)
{
	size_t n = 0;
	_cleanup_dir_ DIR *dir = opendir(arena_printf(&v->s->arena, "/proc/%d/fd", v->t->pid));
	while (dir && readdir(dir))
		n++;
	return n;
}

static void dump_and_check(struct session *s, bool inside)
{
	struct memory m = make_memory();
	struct victim v;
	struct vma_dump *d;
	stop_child(&v, s, start_child());
	assert_int_equal(collect_vmas(s, &v.files, v.t, &d), 0);
	struct visit *visit = NULL;
	size_t n_fds = count_fds(&v);
	if (inside)
		assert_int_equal(begin_visit(&v, d, &visit), 0);
	int r = pages_dump_task(s, v.t, d, visit);
	if (r < 0)
		bad("%s", s->failure.message);
	assert_int_equal(visit_end(visit), 0);
	assert_int_equal(count_fds(&v), n_fds);
	struct pagemap map;
	check_image(&v, d, &map);
	check_memory(&v, d, &m, &map);
	assert_int_equal(s->stats.pages_written * PAGE, map.pages_size);
	end_child(&v);
	drop_memory(&m);
}

static void test_outside(void **state)
{
	dump_and_check(*state, /* inside= */ false);
}

static void test_inside(void **state)
{
	dump_and_check(*state, /* inside= */ true);
}

/* The task cannot have a descriptor more: everything is copied from outside after all. */
static void test_no_descriptors(void **state)
{
	struct rlimit before, none = {3, 3};
	getrlimit(RLIMIT_NOFILE, &before);
	none.rlim_max = before.rlim_max;
	struct memory m = make_memory();
	struct session *s = *state;
	struct victim v;
	struct vma_dump *d;
	pid_t pid = start_child();
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &none, NULL), 0);
	stop_child(&v, s, pid);
	assert_int_equal(collect_vmas(s, &v.files, v.t, &d), 0);
	struct visit *visit = NULL;
	assert_int_equal(begin_visit(&v, d, &visit), 0);
	assert_int_equal(pages_dump_task(s, v.t, d, visit), 0);
	assert_int_equal(visit_end(visit), 0);
	struct pagemap map;
	check_image(&v, d, &map);
	end_child(&v);
	drop_memory(&m);
}

static void test_want_visit(void **state)
{
	struct session *s = *state;
	struct memory m = make_memory();
	struct victim v;
	struct vma_dump *d;
	pid_t pid = start_child();
	stop_child(&v, s, pid);
	assert_int_equal(collect_vmas(s, &v.files, v.t, &d), 0);
	assert_int_equal(pages_prepare(d), 1);
	struct rlimit small = {1 << 20, RLIM_INFINITY};
	assert_int_equal(prlimit(pid, RLIMIT_FSIZE, &small, NULL), 0);
	assert_int_equal(pages_prepare(d), 0);
	end_child(&v);
	drop_memory(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_session(test_outside),
		with_session(test_inside),
		with_session(test_no_descriptors),
		with_session(test_want_visit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
