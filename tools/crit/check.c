/*
 * crit check DIR: are the images of a checkpoint whole, and do they fit together?
 *
 * First every file is read to its end: magics, framing, required fields, payload.  Then what no
 * single file can tell: every id that is named exists (references.c), tasks have their images,
 * mappings ascend, pages lie in mappings.  All problems are listed, not only the first.  It asks
 * nothing of this machine: whether the files and PIDs are to be had is for `restore --explain`.
 */
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

#include "crit.h"
#include "explore.h"
#include "image/dir.h"
#include "image/pagemap.h"

void problem(struct check *k, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	k->n_problems++;
}

/* A failure of reading becomes a problem, and the check goes on. */
static void problem_of_failure(struct check *k)
{
	problem(k, "%s", k->s->failure.message);
	k->s->failure = (struct failure){0};
}

static void check_image(struct check *k, enum image_type type, uint64_t id)
{
	_cleanup_image_reader_ struct image_reader r = IMAGE_READER_NONE;
	ProtobufCMessage *m;
	int more = image_reader_open(k->s, &r, k->dir, type, id);
	while (more >= 0 && (more = image_read(k->s, &r, &m)) > 0) {
		k->n_records++;
		references_note(k, r.name, m);
	}
	if (more < 0)
		problem_of_failure(k);
	k->n_images++;
}

static int check_all_images(struct check *k)
{
	_cleanup_close_ int fd = fcntl(k->dir->fd, F_DUPFD_CLOEXEC, 3);
	_cleanup_dir_ DIR *d = fdopendir(fd);
	if (!d)
		return fail(k->s, errno, "read the directory %s", k->dir->path);
	fd = -1;
	rewinddir(d);
	for (struct dirent *e; (e = readdir(d));) {
		enum image_type type;
		uint64_t id;
		if (!image_parse_name(e->d_name, &type, &id)) {
			if (strstr(e->d_name, ".img"))
				problem(k, "%s: no image has such a name", e->d_name);
		} else if (image_kind(type)->record) {
			check_image(k, type, id);
		}
	}
	return 0;
}

static bool inside_mappings(const MmEntry *mm, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < mm->n_vmas && start < end; i++)
		if (mm->vmas[i]->start <= start && start < mm->vmas[i]->end)
			start = mm->vmas[i]->end;
	return start >= end;
}

static void check_pages(struct check *k, uint32_t pid, const MmEntry *mm)
{
	struct pagemap map;
	int err = pagemap_load(k->s, k->dir, IMG_PAGEMAP, pid, &map);
	if (err == -ENOENT)
		return;
	if (err < 0) {
		problem_of_failure(k);
		return;
	}
	for (size_t i = 0; i < map.n; i++) {
		const struct pagemap_range *r = &map.ranges[i];
		uint64_t end = r->vaddr + r->nr_pages * image_page_size();
		if (!inside_mappings(mm, r->vaddr, end))
			problem(k, "pagemap-%u.img: pages %#jx-%#jx lie in no mapping", pid,
				(uintmax_t)r->vaddr, (uintmax_t)end);
	}
}

static void check_mappings(struct check *k, uint32_t pid, const MmEntry *mm)
{
	uint64_t last = 0;
	for (size_t i = 0; i < mm->n_vmas; i++) {
		const VmaEntry *v = mm->vmas[i];
		if (v->status & VMA_AREA_GUARD)
			continue;
		if (v->start < last || v->end <= v->start)
			problem(k, "mm-%u.img: the mapping %#jx-%#jx overlaps or is out of order",
				pid, (uintmax_t)v->start, (uintmax_t)v->end);
		if (v->end > last)
			last = v->end;
		if (v->status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED))
			reference(k, REF_FILE, v->shmid,
				arena_printf(&k->s->arena, "mm-%u.img: the mapping at %#jx", pid,
					(uintmax_t)v->start));
	}
}

static void check_task(struct check *k, struct explorer *x, const struct explored_task *t)
{
	if (!t->core) {
		problem(k, "core-%u.img is missing", t->pid);
		return;
	}
	for (size_t i = 1; i < t->entry->n_threads; i++) {
		ProtobufCMessage *core;
		int err = image_read_one_at(k->s, k->dir, IMG_CORE, t->entry->threads[i], &core);
		if (err == -ENOENT)
			problem(k, "core-%u.img is missing", t->entry->threads[i]);
		else if (err < 0)
			problem_of_failure(k);
	}
	MmEntry *mm;
	if (!t->core->thread_core)
		return; /* dead: has neither memory nor files */
	if (explore_mm(x, t, &mm) < 0) {
		problem_of_failure(k);
	} else if (!mm) {
		problem(k, "mm-%u.img is missing", t->pid);
	} else {
		check_mappings(k, t->pid, mm);
		check_pages(k, t->pid, mm);
	}
}

int crit_check(struct crit *c)
{
	_cleanup_explorer_ struct explorer x = {0};
	int err = explorer_open(c->s, c->dir, &x);
	if (err < 0)
		return err;
	struct check k = {.s = c->s, .dir = x.dir};
	err = check_all_images(&k);
	if (err < 0)
		return err;
	vec_for_each (&x.tasks, t)
		check_task(&k, &x, t);
	references_resolve(&k);
	if (k.n_problems)
		return fail(c->s, EBADMSG, "%s: %zu problem%s", c->dir, k.n_problems,
			k.n_problems == 1 ? "" : "s");
	printf("%s: %zu images with %zu records are whole and fit together\n", c->dir, k.n_images,
		k.n_records);
	return 0;
}
