/*
 * crit diff DIR DIR: what changed between two checkpoints, by task and kind.
 *
 * Tasks are matched by PID, descriptors by number, mappings by address; ids inside the images mean
 * nothing from one dump to the next and are not compared.  Nothing is printed about what is alike.
 * Lines begin with - (only in the first), + (only in the second) or ~ (different).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "crit.h"
#include "compare.h"
#include "explore.h"
#include "image/dir.h"
#include "image/pagemap.h"

/* One task in both checkpoints. */
struct pair {
	struct explorer *x[2];
	const struct explored_task *t[2];
};

static const struct explored_task *find_task(const struct explorer *x, uint32_t pid)
{
	vec_for_each (&x->tasks, t)
		if (t->pid == pid)
			return t;
	return NULL;
}

static const char *task_name(const struct explored_task *t)
{
	return t->core && t->core->tc ? t->core->tc->comm : "?";
}

static int diff_cores(struct report *r, struct pair *p)
{
	heading(r, "state");
	const PstreeEntry *before = p->t[0]->entry, *after = p->t[1]->entry;
	if (before->ppid != after->ppid || before->pgid != after->pgid || before->sid != after->sid)
		line(r, "~ parent, group, session: %u, %u, %u -> %u, %u, %u", before->ppid,
			before->pgid, before->sid, after->ppid, after->pgid, after->sid);
	if (p->t[0]->core && p->t[1]->core)
		compare_messages(r, "", &p->t[0]->core->base, &p->t[1]->core->base);
	return 0;
}

/* Threads other than the leader; registers and the like. */
static int diff_threads(struct report *r, struct pair *p)
{
	heading(r, "threads");
	for (int side = 0; side < 2; side++)
		for (size_t i = 1; i < p->t[side]->entry->n_threads; i++) {
			uint32_t tid = p->t[side]->entry->threads[i];
			ProtobufCMessage *core[2] = {NULL, NULL};
			for (int j = 0; j < 2; j++) {
				const PstreeEntry *e = p->t[j]->entry;
				bool mine = false;
				for (size_t l = 1; l < e->n_threads; l++)
					mine |= e->threads[l] == tid;
				int err = mine ? image_read_one_at(p->x[j]->s, p->x[j]->dir,
							 IMG_CORE, tid, &core[j])
					       : 0;
				if (err < 0)
					return err;
			}
			if (!core[!side])
				line(r, "%c %u", side ? '+' : '-', tid);
			else if (!side)
				compare_messages(r, arena_printf(&p->x[0]->s->arena, "%u ", tid),
					core[0], core[1]);
		}
	return 0;
}

static int diff_descriptors(struct report *r, struct pair *p)
{
	FdinfoEntry **fds[2];
	size_t n[2];
	heading(r, "descriptors");
	for (int i = 0; i < 2; i++) {
		int err = explore_fds(p->x[i], p->t[i], &fds[i], &n[i]);
		if (err < 0)
			return err;
	}
	for (size_t i = 0, j = 0; i < n[0] || j < n[1];) {
		const FdinfoEntry *before = i < n[0] ? fds[0][i] : NULL;
		const FdinfoEntry *after = j < n[1] ? fds[1][j] : NULL;
		if (before && (!after || before->fd < after->fd)) {
			line(r, "- %u: %s", before->fd, explore_file(p->x[0], before->id));
			i++;
		} else if (after && (!before || after->fd < before->fd)) {
			line(r, "+ %u: %s", after->fd, explore_file(p->x[1], after->id));
			j++;
		} else if (before && after) {
			const FileEntry *f = explore_find_file(p->x[0], before->id);
			const FileEntry *g = explore_find_file(p->x[1], after->id);
			if (f && g)
				compare_messages(r,
					arena_printf(&p->x[0]->s->arena, "%u: ", before->fd),
					&f->base, &g->base);
			i++;
			j++;
		}
	}
	return 0;
}

static const char *vma_line(struct explorer *x, const VmaEntry *v)
{
	return arena_printf(&x->s->arena, "%08" PRIx64 "-%08" PRIx64 " %s%s%s%s", v->start, v->end,
		v->prot & 1 ? "r" : "-", v->prot & 2 ? "w" : "-", v->prot & 4 ? "x" : "-",
		explore_vma(x, v));
}

static void diff_mappings(struct report *r, struct pair *p, MmEntry *mm[2])
{
	for (size_t i = 0, j = 0; i < mm[0]->n_vmas || j < mm[1]->n_vmas;) {
		const VmaEntry *before = i < mm[0]->n_vmas ? mm[0]->vmas[i] : NULL;
		const VmaEntry *after = j < mm[1]->n_vmas ? mm[1]->vmas[j] : NULL;
		if (before && (!after || before->start < after->start)) {
			line(r, "- %s", vma_line(p->x[0], before));
			i++;
		} else if (after && (!before || after->start < before->start)) {
			line(r, "+ %s", vma_line(p->x[1], after));
			j++;
		} else if (before && after) {
			const char *then = vma_line(p->x[0], before);
			const char *now = vma_line(p->x[1], after);
			if (strcmp(then, now) != 0)
				line(r, "~ %s -> %s", then, now);
			i++;
			j++;
		}
	}
}

static int diff_memory(struct report *r, struct pair *p)
{
	MmEntry *mm[2];
	heading(r, "memory");
	for (int i = 0; i < 2; i++) {
		int err = explore_mm(p->x[i], p->t[i], &mm[i]);
		if (err < 0)
			return err;
	}
	if (!mm[0] || !mm[1])
		return 0;
	diff_mappings(r, p, mm);
	const struct image_dir *dirs[2] = {p->x[0]->dir, p->x[1]->dir};
	return compare_pages(r, p->x[0]->s, dirs, p->t[0]->pid);
}

static int diff_task(struct report *r, struct pair *p)
{
	static int (*const parts[])(struct report *, struct pair *) = {
		diff_cores, diff_threads, diff_descriptors, diff_memory};
	title(r, arena_printf(&p->x[0]->s->arena, "%u %s", p->t[0]->pid, task_name(p->t[0])));
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		int err = parts[i](r, p);
		if (err < 0)
			return err;
	}
	return 0;
}

int crit_diff(struct crit *c)
{
	_cleanup_explorer_ struct explorer before = {0}, after = {0};
	struct report r = {.s = c->s};
	int err = explorer_open(c->s, c->dir, &before);
	if (err >= 0)
		err = explorer_open(c->s, c->other, &after);
	if (err < 0)
		return err;
	vec_for_each (&before.tasks, t) {
		struct pair p = {{&before, &after}, {t, find_task(&after, t->pid)}};
		if (!p.t[1])
			printf("- %u %s\n", t->pid, task_name(t));
		err = p.t[1] ? diff_task(&r, &p) : 0;
		if (err < 0)
			return err;
	}
	vec_for_each (&after.tasks, t)
		if (!find_task(&before, t->pid))
			printf("+ %u %s\n", t->pid, task_name(t));
	return 0;
}
