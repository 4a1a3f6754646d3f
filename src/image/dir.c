/* Image directories: everything is opened relative to one descriptor, so a chdir does no harm. */
#include "image/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* A link that leads back to its own directory must not be followed for ever. */
enum { PARENTS_MAX = 1000 };

static bool is_empty(int fd)
{
	_Alignas(struct dirent64) char names[1024];
	for (;;) {
		ssize_t n = getdents64(fd, names, sizeof(names));
		if (n <= 0)
			return n == 0;
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *e = (const void *)(names + at);
			if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
				return false;
			at += e->d_reclen;
		}
	}
}

static struct image_dir *dir_new(struct session *s, int fd, const char *path)
{
	struct image_dir *dir = arena_new(&s->arena, struct image_dir);
	*dir = (struct image_dir){
		.fd = fd, .path = path, .next_pages_id = 1, .was_empty = is_empty(fd)};
	return dir;
}

int image_dir_open(struct session *s, const char *path, struct image_dir **ret)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail(s, errno, "image directory %s", path);
	*ret = dir_new(s, fd, arena_strdup(&s->arena, path));
	return 0;
}

int image_dir_from_fd(struct session *s, int fd, struct image_dir **ret)
{
	_cleanup_close_ int owned = fd;
	/* A new open file description: an O_PATH descriptor may have been handed over. */
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (own < 0)
		return fail(s, errno, "image directory given as descriptor %d", owned);
	*ret = dir_new(s, own, arena_printf(&s->arena, "fd %d", owned));
	return 0;
}

int image_dir_parent(struct session *s, struct image_dir *dir, struct image_dir **ret)
{
	if (dir->generation == PARENTS_MAX)
		return fail(s, ELOOP, "%s: more than %d parents", dir->path, PARENTS_MAX);
	if (!dir->parent && !dir->no_parent) {
		int fd = openat(dir->fd, "parent", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 && errno != ENOENT)
			return fail(s, errno, "parent image directory %s/parent", dir->path);
		if (fd < 0)
			dir->no_parent = true;
		else {
			dir->parent =
				dir_new(s, fd, arena_printf(&s->arena, "%s/parent", dir->path));
			dir->parent->generation = dir->generation + 1;
		}
	}
	if (!dir->parent)
		return -ENOENT;
	*ret = dir->parent;
	return 0;
}

void image_dir_close(struct image_dir *dir)
{
	while (dir) {
		struct image_dir *parent = dir->parent;
		if (dir->fd >= 0)
			close(dir->fd);
		dir->fd = -1;
		dir->parent = NULL;
		dir = parent;
	}
}

int image_open_raw_at(struct session *s, const struct image_dir *dir, enum image_type type,
	uint64_t id, int flags)
{
	char name[IMAGE_NAME_MAX];
	image_name(type, id, name);
	int fd = openat(dir->fd, name, flags | O_CLOEXEC, 0644);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT && !(flags & O_CREAT))
		return -ENOENT;
	return fail(
		s, errno, "%s %s/%s", flags & O_CREAT ? "creating" : "opening", dir->path, name);
}

int image_open_raw(struct session *s, enum image_type type, uint64_t id, int flags)
{
	return image_open_raw_at(s, s->images, type, id, flags);
}

int image_unlink(struct session *s, const struct image_dir *dir, enum image_type type, uint64_t id)
{
	char name[IMAGE_NAME_MAX];
	if (dir->was_empty)
		return 0;
	image_name(type, id, name);
	if (unlinkat(dir->fd, name, 0) < 0 && errno != ENOENT)
		return fail(s, errno, "removing stale %s/%s", dir->path, name);
	return 0;
}
