/*
 * Restore of ghosts, but for the making of them (ghost_make.c): what the images say, which is read
 * before anything is forked, and opening them.  See ghost.c for the images.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/explain.h"
#include "file/brief_names.h"
#include "file/ghost.h"

enum { RAW_O_TMPFILE = 020000000 };

const char *ghost_path(const struct ghost *g)
{
	return g->path;
}

bool ghost_is_directory(const struct ghost *g)
{
	return S_ISDIR(g->e->mode);
}

/* --- before anything is forked --- */

static struct ghost_name *find_name(const struct ghost *g, const char *name)
{
	vec_for_each (&g->names, n)
		if (strcmp(n->name, name) == 0)
			return n;
	return NULL;
}

static int check_entry(struct file_set *f, const struct ghost *g, uint64_t end, uint64_t limit)
{
	const GhostFileEntry *e = g->e;
	bool device = S_ISCHR(e->mode) || S_ISBLK(e->mode);
	const char *lack = S_ISLNK(e->mode) && !e->symlnk_target		? "target"
			   : device && !e->has_rdev				? "device number"
			   : e->chunks && (!e->has_size || e->size > INT64_MAX) ? "size"
										: NULL;
	if (lack)
		return fail(f->s, EBADMSG, "ghost-file-%x.img lacks a %s", g->number, lack);
	if (end > limit)
		return fail(f->s, EBADMSG, "ghost-file-%x.img has data beyond the end of its file",
			g->number);
	return 0;
}

/* Reads the header and walks the chunks, so that damage is found now. */
static int read_image(struct file_set *f, struct ghost *g)
{
	_cleanup_image_reader_ struct image_reader reader = IMAGE_READER_NONE;
	ProtobufCMessage *m;
	uint64_t end = 0;
	int r = image_reader_open(f->s, &reader, f->s->images, IMG_GHOST_FILE, g->number);
	if (r >= 0)
		r = image_read(f->s, &reader, &m);
	if (r == 0)
		return fail(f->s, ENOENT, "ghost-file-%x.img is missing or empty", g->number);
	if (r < 0)
		return r;
	g->e = (const GhostFileEntry *)m;
	while (g->e->chunks && (r = image_read(f->s, &reader, &m)) > 0) {
		const GhostChunkEntry *chunk = (const GhostChunkEntry *)m;
		uint64_t chunk_end = chunk->off + chunk->len;
		end = chunk_end < chunk->off ? UINT64_MAX : chunk_end > end ? chunk_end : end;
	}
	return r < 0 ? r : check_entry(f, g, end, g->e->has_size ? g->e->size : UINT64_MAX);
}

int ghost_load(struct file_set *f, uint32_t number, const struct open_file *o, struct ghost **ret)
{
	const RegFileEntry *first = o->e->reg;
	struct ghost *g = id_map_get(&f->ghosts, number);
	if (!g) {
		g = arena_new(&f->s->arena, struct ghost);
		g->number = number;
		g->name = first->name;
		g->creator = g->flags_fd = -1;
		int r = read_image(f, g);
		if (r < 0)
			return r;
		id_map_put(&f->s->arena, &f->ghosts, number, g);
		*vec_push(&f->s->arena, &f->ghost_list) = g;
	}
	if (!find_name(g, first->name))
		*vec_push(&f->s->arena, &g->names) = (struct ghost_name){first->name, -1, 0};
	if (o->extra && o->extra->ghost)
		g->extra = o->extra->ghost;
	g->no_follow |= (first->flags & O_NOFOLLOW) != 0;
	if (!g->unnamed && first->flags & RAW_O_TMPFILE && S_ISREG(g->e->mode))
		g->unnamed = first;
	*ret = g;
	return 0;
}

/* --- opening them --- */

struct ghost *ghost_of_inode(const struct file_set *f, uint32_t dev, uint64_t ino)
{
	vec_for_each (&f->ghost_list, g)
		if ((*g)->e->has_dev && (*g)->e->dev == dev && (*g)->e->has_ino &&
			(*g)->e->ino == ino)
			return *g;
	return NULL;
}

void ghost_will_be_watched(struct ghost *g)
{
	g->watched = true;
}

static int open_anchor(const struct ghost_name *n, int flags)
{
	char self[32];
	snprintf(self, sizeof(self), "/proc/self/fd/%d", n->anchor);
	int fd = open(self, flags);
	return fd < 0 ? -errno : fd;
}

/* All that had one name share the name's dentry again. */
static int open_watched(struct file_set *f, struct ghost *g, struct ghost_name *n, int flags)
{
	if (n->anchor < 0)
		n->anchor = remap_open(f, g->path, n->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return n->anchor < 0 ? n->anchor : open_anchor(n, flags);
}

int ghost_open(struct file_set *f, struct ghost *g, const RegFileEntry *e, int flags)
{
	if (ghost_is_directory(g))
		return path_open(f, g->path, flags);
	if (g->unnamed)
		return open_anchor(&g->names.v[0], flags);
	struct ghost_name *n = find_name(g, e->name);
	if (n && (g->nameless || (g->watched && !S_ISLNK(g->e->mode) && !(flags & O_NOFOLLOW))))
		return open_watched(f, g, n, flags);
	return remap_open(f, g->path, e->name, flags);
}

int ghost_take_creator(struct ghost *g, const RegFileEntry *e)
{
	return g->unnamed == e ? take_fd(&g->creator) : -1;
}

/* --- and taking their names away --- */

static bool is_directory(const struct doomed *gone)
{
	return !gone->ghost || ghost_is_directory(gone->ghost);
}

int ghost_take_last(struct file_set *f)
{
	const struct doomed *gone = &f->doomed.v[f->doomed.n - 1];
	int r = unlinkat(
		f->root_fd, path_relative(gone->path), is_directory(gone) ? AT_REMOVEDIR : 0);
	f->doomed.n--;
	return r < 0 ? -errno : 0;
}

void ghost_remove_all(struct file_set *f)
{
	vec_for_each (&f->ghost_list, at) {
		struct ghost *g = *at;
		if (g->creator >= 0)
			close(take_fd(&g->creator));
		ghost_close_anchors(g);
	}
	while (f->doomed.n) {
		const struct doomed *gone = &f->doomed.v[f->doomed.n - 1];
		const char *path = gone->path;
		if (gone->ghost && ghost_is_directory(gone->ghost))
			ghost_set_times(f, gone->ghost); /* what was made in it changed them */
		int r = ghost_take_last(f);
		if (r < 0)
			log_warn(f->s, "cannot remove %s: %s", path, strerror(-r));
	}
	brief_names_end(&f->names);
}

void ghost_explain_removal(const struct file_set *f)
{
	vec_for_each (&f->ghost_list, g)
		if (ghost_is_directory(*g))
			(void)explained(f->s, "remove the directory %s", (*g)->name);
}
