/*
 * io_uring: mapping rings where they were.
 *
 * The kernel refuses any wish for the address of a ring, by mmap() and by mremap() alike (Linux
 * 6.5; io_uring_get_unmapped_area()): it picks a free range that is large enough.  So there must
 * be one only.  For the time of mapping, every other hole of the task is plugged; the places of
 * the rings were kept by mem/map.c and are freed one at a time.
 */
#include <errno.h>
#include <sys/mman.h>

#include "file/io_uring.h"
#include "kernel/proc_maps.h"
#include "mem/vma.h"

enum { HOLE_FLOOR = 0x10000 }; /* the usual vm.mmap_min_addr */

struct hole {
	uint64_t start, end;
};

struct mapping {
	struct file_set *f;
	struct stubs *st;
	struct task *t;
	struct program *p;
	VEC(struct hole) holes;
};

int64_t fd_number_of(const struct fd_table *t, const struct open_file *o)
{
	vec_for_each (&t->slots, slot)
		if (slot->file == o)
			return slot->fd;
	return -1;
}

static int find_holes(struct mapping *m)
{
	struct session *s = m->f->s;
	vma_info_vec maps = {0};
	uint64_t at = HOLE_FLOOR;
	int r = proc_maps_read(s, m->t->pid, &maps);
	if (r < 0)
		return fail(s, r, "pid %d: read its mappings", m->t->vpid);
	vec_for_each (&maps, vma) {
		uint64_t start = vma->start < ARCH_TASK_SIZE ? vma->start : ARCH_TASK_SIZE;
		if (at < start)
			*vec_push(&s->arena, &m->holes) = (struct hole){at, start};
		if (at < vma->end)
			at = vma->end;
	}
	if (at < ARCH_TASK_SIZE)
		*vec_push(&s->arena, &m->holes) = (struct hole){at, ARCH_TASK_SIZE};
	return 0;
}

static void plan_plugs(struct mapping *m)
{
	vec_for_each (&m->holes, h)
		program_expect(m->p,
			program_step(m->p, "plug", NULL, SYS_mmap, imm(h->start),
				imm(h->end - h->start), imm(PROT_NONE),
				imm(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
					MAP_FIXED_NOREPLACE),
				simm(-1), imm(0)),
			(int64_t)h->start);
}

static void plan_unplug(struct mapping *m)
{
	vec_for_each (&m->holes, h)
		program_step(
			m->p, "unplug", NULL, SYS_munmap, imm(h->start), imm(h->end - h->start));
}

static int plan_ring(struct mapping *m, const VmaEntry *e)
{
	const struct open_file *o = file_find(m->f, (uint32_t)e->shmid);
	int64_t number = o && o->made_inside ? fd_number_of(m->t->files, o) : -1;
	if (number < 0)
		return fail(m->f->s, EBADMSG,
			"pid %d: its mapping at %llx is of an io_uring that it has not open",
			m->t->vpid, (unsigned long long)e->start);
	struct arg start = imm(e->start), len = imm(e->end - e->start);
	program_step(m->p, "free the place of", "io_uring", SYS_munmap, start, len);
	int map = program_step(m->p, "map", "io_uring", SYS_mmap, imm(0), len, imm(e->prot),
		imm(MAP_SHARED | MAP_POPULATE), imm((uint64_t)number), imm(e->pgoff));
	program_expect(m->p, map, (int64_t)e->start);
	if (e->flags & VMA_MAP_LOCKED)
		program_may_fail(
			m->p, program_step(m->p, "mlock", NULL, SYS_mlock2, start, len, imm(0)));
	for (uint64_t advice = 0; advice < VMA_MADV_BITS && e->has_madv; advice++)
		if (e->madv & UINT64_C(1) << advice)
			program_step(m->p, "madvise", NULL, SYS_madvise, start, len, imm(advice));
	return 0;
}

static bool has_rings(const struct task *t)
{
	for (size_t i = 0; i < t->mm->n_vmas; i++)
		if (t->mm->vmas[i]->status & VMA_IO_URING)
			return true;
	return false;
}

static int map_in(struct mapping *m)
{
	m->p->about = arena_printf(&m->f->s->arena, "pid %d", m->t->vpid);
	int r = m->st->explain ? 0 : find_holes(m);
	plan_plugs(m);
	for (size_t i = 0; i < m->t->mm->n_vmas && r >= 0; i++)
		if (m->t->mm->vmas[i]->status & VMA_IO_URING)
			r = plan_ring(m, m->t->mm->vmas[i]);
	plan_unplug(m);
	if (r >= 0)
		r = stub_play(m->st, leader(m->t), m->p);
	program_reset(m->p);
	return r;
}

int io_uring_map_all(struct file_set *f, struct stubs *st)
{
	struct program p;
	int r = 0;
	program_init(&p, f->s, "");
	for (size_t i = 0; i < f->tree->tasks.n && r >= 0; i++) {
		struct mapping m = {.f = f, .st = st, .t = f->tree->tasks.v[i], .p = &p};
		if (task_lives(m.t) && has_rings(m.t))
			r = map_in(&m);
	}
	return r;
}
