/*
 * A dump into a directory that holds the images of another one.
 *
 * Those may be all that is left of a program, so they are not overwritten: they wait in a directory
 * of their own, replaced.<run>, until the new set is complete.  Then they go; if the dump fails,
 * what it wrote goes, and they come back; if it is killed, they stay there, whole.  inventory.img
 * leaves first and returns last, so that no half of a set is taken for a whole one.
 *
 * What a set has is told by names: of the registry's, but for those of the work directory and of
 * cpuinfo.img, which another command may have written.
 */
#include "image/replaced.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

static const char inventory[] = "inventory.img";

static bool is_of_set(const char *name)
{
	enum image_type type;
	uint64_t id;
	return image_parse_name(name, &type, &id) && type != IMG_CPUINFO &&
	       image_kind(type)->class != IMAGE_SERVICE;
}

typedef VEC(const char *) name_vec;

/* Of a set, inventory.img first. */
static int list(struct session *s, int dir, name_vec *out)
{
	_cleanup_close_ int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_dir_ DIR *d = own < 0 ? NULL : fdopendir(own);
	if (!d)
		return -errno;
	own = -1; /* it is d's */
	int err = 0;
	for (struct dirent *e; (e = next_entry(d, &err));)
		if (is_of_set(e->d_name)) {
			const char **last = vec_push(&s->arena, out);
			*last = arena_strdup(&s->arena, e->d_name);
			if (strcmp(*last, inventory) == 0) {
				const char *first = out->v[0];
				out->v[0] = *last;
				*last = first;
			}
		}
	return err;
}

static int move(int from, int to, const name_vec *names, bool backwards)
{
	for (size_t i = 0; i < names->n; i++) {
		const char *name = names->v[backwards ? names->n - 1 - i : i];
		if (renameat(from, name, to, name) < 0)
			return -errno;
	}
	return 0;
}

static int take(int dir, const name_vec *names)
{
	int r = 0;
	vec_for_each (names, name)
		if (unlinkat(dir, *name, 0) < 0 && errno != ENOENT)
			r = -errno;
	return r;
}

static void warn(struct session *s, const struct stat *st)
{
	char when[40];
	struct tm tm;
	if (!localtime_r(&st->st_mtime, &tm) || !strftime(when, sizeof(when), "%F %T", &tm))
		when[0] = 0;
	log_warn(s,
		"%s holds the images of another dump, taken %s: they are replaced if this one "
		"succeeds",
		s->images->path, when);
}

int replaced_set_aside(struct session *s, struct replaced *ret)
{
	struct image_dir *dir = s->images;
	struct stat st;
	*ret = REPLACED_NONE;
	if (dir->was_empty || fstatat(dir->fd, inventory, &st, 0) < 0 || !st.st_size)
		return 0;
	warn(s, &st);
	name_vec names = {0};
	ret->name = arena_printf(&s->arena, "replaced.%.8s", s->run_id);
	int r = list(s, dir->fd, &names);
	if (r >= 0 && mkdirat(dir->fd, ret->name, 0700) < 0)
		r = -errno;
	if (r >= 0)
		ret->fd = openat(dir->fd, ret->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r >= 0 && ret->fd < 0)
		r = -errno;
	if (r >= 0)
		r = move(dir->fd, ret->fd, &names, /* backwards= */ false);
	ret->whole = r >= 0;
	return r < 0 ? fail_remedy(s, r, "use an empty directory",
			       "set the images of another dump in %s aside", dir->path)
		     : 0;
}

static int end(struct session *s, const struct replaced *old, bool done)
{
	name_vec written = {0}, names = {0};
	int r = list(s, old->fd, &names);
	if (r >= 0 && !done)
		r = list(s, s->images->fd, &written);
	if (r >= 0 && old->whole && !done)
		r = take(s->images->fd, &written);
	if (r >= 0)
		r = done ? take(old->fd, &names)
			 : move(old->fd, s->images->fd, &names, /* backwards= */ true);
	if (r >= 0 && unlinkat(s->images->fd, old->name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

void replaced_end(struct session *s, struct replaced *old, bool done)
{
	if (old->fd < 0)
		return;
	int r = end(s, old, done);
	if (r < 0)
		log_warn(s, "the images that were in %s are in %s/%s: %s", s->images->path,
			s->images->path, old->name, strerror(-r));
	close(take_fd(&old->fd));
}
