/*
 * Reading the memory images of a task and checking them before anything is forked.
 */
#include "mem/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "mem/aio.h"
#include "mem/vma.h"

enum {
	PAGE = ARCH_PAGE_SIZE,
	READ_MAX = 1 << 20, /* bytes that are cheaper to read than to map */
	HOLE_FLOOR = 0x10000, /* the usual vm.mmap_min_addr */
};

/* What a restore cannot make yet, by status bit. */
static const struct {
	uint32_t status;
	const char *text;
} unsupported[] = {
	{VMA_SHSTK, "a shadow stack"},
};

static int check_vma(struct session *s, const struct task *t, const VmaEntry *e, uint64_t floor)
{
	if (e->start >= e->end || e->start % PAGE || e->end % PAGE || e->end > ARCH_TASK_SIZE)
		return fail(s, EBADMSG, "pid %d: the mapping %llx-%llx of its image is not sane", t->vpid,
			(unsigned long long)e->start, (unsigned long long)e->end);
	if (e->start < floor)
		return fail(s, EBADMSG, "pid %d: the mapping at %llx of its image overlaps another",
			t->vpid, (unsigned long long)e->start);
	for (size_t i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]); i++)
		if (e->status & unsupported[i].status)
			return fail(s, EOPNOTSUPP, "pid %d: the mapping at %llx is %s, which is not supported yet",
				t->vpid, (unsigned long long)e->start, unsupported[i].text);
	if ((e->status & (VMA_ANON_SHARED | VMA_SYSVIPC)) == VMA_ANON_SHARED)
		return fail(s, EOPNOTSUPP, "pid %d: the shared mapping at %llx is of an old image format",
			t->vpid, (unsigned long long)e->start);
	return e->status & VMA_EXT_PLUGIN ? vma_plugin_check(s, t, e) : 0;
}

static int load_vmas(struct session *s, struct task *t, struct mem_plan *m)
{
	uint64_t floor = 0;
	for (size_t i = 0; i < t->mm->n_vmas; i++) {
		const VmaEntry *e = t->mm->vmas[i];
		if (e->status & VMA_VSYSCALL)
			continue;
		if (e->status & VMA_GUARD) {
			*vec_push(&s->arena, &m->guards) = e;
			continue;
		}
		int r = postpone(s, check_vma(s, t, e, floor));
		if (r < 0)
			return r;
		floor = e->end;
		if (e->status & VMA_VVAR)
			m->vdso.vvar = e;
		else if (e->status & VMA_VDSO)
			m->vdso.vdso = e;
		*vec_push(&s->arena, &m->vmas) = (struct vma_plan){.e = e, .pgoff = e->pgoff};
	}
	return 0;
}

/* Pages may only be where private memory is; an entry may span neighbours. */
static int check_pages(struct session *s, struct task *t, struct mem_plan *m)
{
	size_t at = 0;
	for (size_t i = 0; i < m->map.n; i++) {
		const struct pagemap_range *range = &m->map.ranges[i];
		uint64_t addr = range->vaddr, end = addr + range->nr_pages * PAGE;
		if (!(range->flags & PE_PRESENT))
			return fail(s, EOPNOTSUPP, "pid %d: the page at %llx is in another dump "
				"(incremental or lazy), which is not supported yet",
				t->vpid, (unsigned long long)addr);
		while (addr < end) {
			while (at < m->vmas.n && m->vmas.v[at].e->end <= addr)
				at++;
			if (at == m->vmas.n || m->vmas.v[at].e->start > addr ||
				!vma_is_private_content(m->vmas.v[at].e))
				return fail(s, EBADMSG, "pid %d: the image has a page at %llx, where "
					"no private memory is", t->vpid, (unsigned long long)addr);
			m->vmas.v[at].has_pages = true;
			addr = m->vmas.v[at].e->end;
		}
	}
	return 0;
}

int mem_load(struct session *s, struct task *t)
{
	struct mem_plan *m = arena_new(&s->arena, struct mem_plan);
	t->mem = m;
	int r = load_vmas(s, t, m);
	if (r < 0)
		return r;
	r = pagemap_load(s, s->images, IMG_PAGEMAP, (uint64_t)t->vpid, &m->map);
	if (r == -ENOENT)
		return fail(s, r, "pid %d: its page map is missing", t->vpid);
	if (r >= 0)
		r = postpone(s, check_pages(s, t, m));
	if (r >= 0)
		r = postpone(s, aio_check(s, t));
	if (r >= 0)
		r = postpone(s, vma_policy_check(s, t));
	if (r >= 0)
		r = postpone(s, vma_extras_check(s, t));
	if (r >= 0)
		r = postpone(s, vdso_load(s, t));
	return r;
}

void mem_release(struct session *s, struct task *t)
{
	struct mem_plan *m = mem_of(t);
	if (!m || !m->pages)
		return;
	if (m->map.pages_size <= READ_MAX)
		arena_take_back(&s->arena, (void *)(uintptr_t)m->pages);
	else
		munmap((void *)(uintptr_t)m->pages, m->map.pages_size);
	m->pages = NULL;
}

static bool read_at(int fd, char *to, size_t len, uint64_t offset)
{
	while (len) {
		ssize_t n = pread(fd, to, len, (off_t)offset);
		if (n <= 0)
			return false;
		to += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return true;
}

bool mem_image_read(struct session *s, struct task *t, uint64_t addr, void *to, size_t len)
{
	const struct pagemap *map = &mem_of(t)->map;
	_cleanup_close_ int fd = pagemap_open_pages(s, s->images, map, O_RDONLY);
	for (size_t done = 0; done < len;) {
		const struct pagemap_range *range = pagemap_find(map, addr + done);
		if (fd < 0 || !range || range->vaddr > addr + done)
			return false;
		uint64_t skip = addr + done - range->vaddr, there = range->nr_pages * PAGE - skip;
		size_t n = len - done < there ? len - done : there;
		if (!read_at(fd, (char *)to + done, n, range->offset + skip))
			return false;
		done += n;
	}
	return true;
}

const char *mem_image_pages(struct session *s, struct task *t)
{
	struct mem_plan *m = mem_of(t);
	if (m->pages)
		return m->pages;
	_cleanup_close_ int fd = pagemap_open_pages(s, s->images, &m->map, O_RDONLY);
	if (fd < 0)
		return NULL;
	size_t len = m->map.pages_size;
	bool small = len <= READ_MAX;
	void *pages = small ? arena_lend(&s->arena, len)
			    : mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	if (small ? read_at(fd, pages, len, 0) : pages != MAP_FAILED)
		m->pages = pages;
	return m->pages;
}

const char *mem_image_page(struct session *s, struct task *t, uint64_t addr)
{
	const struct pagemap_range *range = pagemap_find(&mem_of(t)->map, addr);
	if (!range || range->vaddr > addr)
		return NULL;
	const char *pages = mem_image_pages(s, t);
	return pages ? pages + range->offset + (addr - range->vaddr) : NULL;
}

/* --- the hole for the agent --- */

struct span {
	uint64_t start, end;
};
typedef VEC(struct span) span_vec;

static int by_start(const void *a, const void *b)
{
	uint64_t x = ((const struct span *)a)->start, y = ((const struct span *)b)->start;
	return x < y ? -1 : x > y;
}

int mem_find_hole(struct session *s, const struct tree *tree, uint64_t len, uint64_t *addr)
{
	span_vec used = {0};
	vec_for_each(&tree->tasks, t) {
		const struct mem_plan *m = mem_of(*t);
		if (!m)
			continue;
		vec_for_each(&m->vmas, v)
			*vec_push(&s->arena, &used) = (struct span){v->e->start, v->e->end};
		if (m->vdso.proxy)
			*vec_push(&s->arena, &used) =
				(struct span){m->vdso.live_addr, m->vdso.live_addr + vdso_live_len()};
	}
	qsort(used.v, used.n, sizeof(used.v[0]), by_start);
	uint64_t at = *addr > HOLE_FLOOR ? *addr : HOLE_FLOOR;
	for (size_t i = 0; i < used.n && at + len > used.v[i].start; i++)
		if (used.v[i].end > at)
			at = used.v[i].end;
	if (at + len > ARCH_TASK_SIZE)
		return fail(s, ENOMEM, "no address range of %llu bytes is free in all tasks",
			(unsigned long long)len);
	*addr = at;
	return 0;
}
