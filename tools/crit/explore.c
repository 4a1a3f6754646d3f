/*
 * crit x DIR ps|fds|mems|rss: what a checkpoint holds, as tables.  Layouts are those of the
 * reference, to the blank (spec/crit.md 7).
 */
#include <errno.h>
#include <string.h>

#include "crit.h"
#include "explore.h"
#include "image/dir.h"
#include "image/pagemap.h"

/* Each once, even where damaged images have a PID twice or tasks below themselves. */
static void print_ps(struct explorer *x, const struct explored_task *parent, int depth)
{
	vec_for_each (&x->tasks, t) {
		if (t->shown || t->parent != (parent ? parent->pid : 0))
			continue;
		t->shown = true;
		printf("%7u%7u%7u   %*s%s\n", t->pid, t->pgid, t->sid, 4 * depth, "",
			t->core && t->core->tc ? t->core->tc->comm : "?");
		print_ps(x, t, depth + 1);
	}
}

static int show_ps(struct explorer *x)
{
	printf("%7s%7s%7s   %s\n", "PID", "PGID", "SID", "COMM");
	print_ps(x, NULL, 0);
	return 0;
}

static int show_fds(struct explorer *x)
{
	vec_for_each (&x->tasks, t) {
		printf("%u\n", t->pid);
		FdinfoEntry **fds;
		size_t n;
		int err = explore_fds(x, t, &fds, &n);
		if (err < 0)
			return err;
		for (size_t i = 0; i < n; i++)
			printf("\t%7u: %s\n", fds[i]->fd, explore_file(x, fds[i]->id));
		FsEntry *fs;
		err = explore_fs(x, t, &fs);
		if (err < 0)
			return err;
		if (fs) {
			printf("\t%7s: %s\n", "cwd", explore_file(x, fs->cwd_id));
			printf("\t%7s: %s\n", "root", explore_file(x, fs->root_id));
		}
	}
	return 0;
}

static int show_mems(struct explorer *x)
{
	vec_for_each (&x->tasks, t) {
		printf("%u\n", t->pid);
		MmEntry *mm;
		int err = explore_mm(x, t, &mm);
		if (err < 0)
			return err;
		if (!mm)
			continue;
		printf("\t%-36s    %s\n", "exe", explore_file(x, mm->exe_file_id));
		for (size_t i = 0; i < mm->n_vmas; i++) {
			const VmaEntry *v = mm->vmas[i];
			char range[64];
			snprintf(range, sizeof(range), "%08jx-%08jx", (uintmax_t)v->start,
				(uintmax_t)v->end);
			printf("\t%-36s%s%s%s%s\n", range, v->prot & 1 ? "r" : "-",
				v->prot & 2 ? "w" : "-", v->prot & 4 ? "x" : "-",
				explore_vma(x, v));
		}
	}
	return 0;
}

/* Which VMAs a run of pages lies in; the one shown last is not named again. */
static void print_overlaps(struct explorer *x, const MmEntry *mm, const struct pagemap_range *range,
	const VmaEntry **last)
{
	uint64_t end = range->vaddr + range->nr_pages * 4096;
	for (size_t i = 0; i < mm->n_vmas; i++) {
		const VmaEntry *v = mm->vmas[i];
		if (v->end <= range->vaddr || v->start >= end)
			continue;
		if (v == *last) {
			printf(" ~");
		} else {
			printf(" %08jx / %-8ju", (uintmax_t)v->start,
				(uintmax_t)((v->end - v->start) / 4096));
			if (v->status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED))
				printf(" %s", explore_file(x, (uint32_t)v->shmid));
			*last = v;
		}
		printf("\n\t%23s", "");
	}
}

static int show_rss(struct explorer *x)
{
	vec_for_each (&x->tasks, t) {
		printf("%u\n", t->pid);
		struct pagemap map;
		MmEntry *mm;
		int err = explore_mm(x, t, &mm);
		if (err >= 0 && mm)
			err = pagemap_load(x->s, x->dir, IMG_PAGEMAP, t->pid, &map);
		if (err < 0)
			return err;
		const VmaEntry *last = NULL;
		for (size_t i = 0; mm && i < map.n; i++) {
			char text[64];
			snprintf(text, sizeof(text), "%jx / %-8ju", (uintmax_t)map.ranges[i].vaddr,
				(uintmax_t)map.ranges[i].nr_pages);
			printf("\t%-24s", text);
			print_overlaps(x, mm, &map.ranges[i], &last);
			putchar('\n');
		}
	}
	return 0;
}

int crit_explore(struct crit *c)
{
	static const struct {
		const char *name;
		int (*show)(struct explorer *x);
	} views[] = {{"ps", show_ps}, {"fds", show_fds}, {"mems", show_mems}, {"rss", show_rss}};
	_cleanup_explorer_ struct explorer x = {0};
	int err = explorer_open(c->s, c->dir, &x);
	for (size_t i = 0; i < sizeof(views) / sizeof(*views) && err >= 0; i++)
		if (strcmp(views[i].name, c->what) == 0)
			return views[i].show(&x);
	return err;
}
