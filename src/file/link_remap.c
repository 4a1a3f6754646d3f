/*
 * Link remaps (--link-remap): files whose name was removed while other hard links remain.
 *
 * The dump makes one more link, link_remap.<id> beside the old name, by linkat(AT_EMPTY_PATH), and
 * gives it a REG entry that the remap entry refers to.  Links are made when everything else is
 * known to be fine, and removed again when the dump fails or the tree goes on running, also if we are
 * killed (brief_names.c).  A layer
 * of overlayfs may refuse the link (ENOENT): then the file is stored as a ghost.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/brief_names.h"
#include "file/ghost.h"

struct link_dump {
	struct file_view view;
	const char *near; /* the removed name */
	const char *path; /* of the link; NULL until it is made */
	uint32_t id;	  /* of its REG entry */
	VEC(struct dumped_file *) users;
};

void remap_add(struct file_dump *d, uint32_t orig_id, RemapType type, uint32_t remap_id)
{
	RemapFilePathEntry *e = arena_new(&d->s->arena, RemapFilePathEntry);
	remap_file_path_entry__init(e);
	e->orig_id = orig_id;
	e->has_remap_type = true;
	e->remap_type = type;
	e->remap_id = remap_id;
	*vec_push(&d->s->arena, &d->remaps) = e;
}

int link_remap_collect(
	struct file_dump *d, struct file_view *v, struct dumped_file *f, const char *name)
{
	struct link_dump *l = v->inode->link;
	if (!d->s->opt->link_remap) {
		view_block(d, v, "use --link-remap",
			"the name %s was removed, other hard links of the file remain", name);
		return 0;
	}
	if (!l) {
		l = v->inode->link = arena_new(&d->s->arena, struct link_dump);
		*l = (struct link_dump){.view = *v, .near = name, .id = d->next_id++};
		l->view.fd = -1; /* by then */
		*vec_push(&d->s->arena, &d->links) = l;
	}
	*vec_push(&d->s->arena, &l->users) = f;
	return 0;
}

struct making {
	struct link_dump *l;
	int fd;
};

/* Beside the old name, or in the nearest directory above that still exists. */
static int make_link(void *file_dump, void *arg)
{
	struct file_dump *d = file_dump;
	const struct making *m = arg;
	struct link_dump *l = m->l;
	int fd = m->fd;
	char own[32];
	snprintf(own, sizeof(own), "/proc/self/fd/%d", fd);
	size_t dir = (size_t)(strrchr(l->near, '/') - l->near);
	for (;;) {
		char *path =
			arena_printf(&d->s->arena, "%.*s/link_remap.%u", (int)dir, l->near, l->id);
		/* the same through /proc, for those without CAP_DAC_READ_SEARCH */
		if (linkat(fd, "", AT_FDCWD, path, AT_EMPTY_PATH) == 0 ||
			linkat(AT_FDCWD, own, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0) {
			l->path = path;
			return 0;
		}
		bool no_directory =
			dir && errno == ENOENT &&
			access(arena_printf(&d->s->arena, "%.*s", (int)dir, l->near), F_OK) < 0;
		if (!no_directory)
			return -errno;
		while (dir && l->near[--dir] != '/')
			;
	}
}

static bool are_complete(const struct file_dump *d)
{
	struct stat st;
	return fstatat(d->s->images->fd, "inventory.img", &st, 0) == 0 && st.st_size > 0;
}

/* We were killed. Images that are complete need their links. */
static void take_links(void *file_dump)
{
	struct file_dump *d = file_dump;
	vec_for_each (&d->links, l)
		if ((*l)->path && !are_complete(d))
			unlink((*l)->path);
}

static void add_link_entry(struct file_dump *d, const struct link_dump *l)
{
	RegFileEntry *e = arena_new(&d->s->arena, RegFileEntry);
	reg_file_entry__init(e);
	e->id = l->id;
	e->name = (char *)(uintptr_t)l->path;
	e->fown = (FownEntry *)(uintptr_t)d->nobody;
	struct dumped_file *f = arena_new(&d->s->arena, struct dumped_file);
	f->kind = FD_TYPES__REG;
	f->type = file_type_of(FD_TYPES__REG);
	f->id = l->id;
	f->detail = e;
	*vec_push(&d->s->arena, &d->files) = f;
}

static int finish_link(struct file_dump *d, struct link_dump *l)
{
	_cleanup_close_ int fd = source_reopen(d, &l->view.from, O_PATH);
	if (fd < 0)
		return fd;
	struct making m = {l, fd};
	int r = d->names ? 0 : brief_names_begin(d->s, take_links, d, &d->names);
	if (r >= 0)
		r = brief_names_do(d->names, make_link, &m);
	if (r == -ENOENT) {
		r = 0;
		for (size_t i = 0; i < l->users.n && r >= 0; i++)
			r = ghost_add(d, &l->view, l->users.v[i]);
		if (r < 0)
			return r;
		if (d->s->blockers.n)
			return fail_remedy(d->s, EFBIG, "use a larger --ghost-limit",
				"%s can only be kept as a copy, which is too large", l->near);
		return 0;
	}
	if (r < 0)
		return fail(d->s, r, "link the removed file %s to a name again", l->near);
	add_link_entry(d, l);
	vec_for_each (&l->users, f)
		remap_add(d, (*f)->id, REMAP_TYPE__LINKED, l->id);
	return 0;
}

int link_remap_make_all(struct file_dump *d)
{
	int r = 0;
	for (size_t i = 0; i < d->links.n && r >= 0; i++)
		r = finish_link(d, d->links.v[i]);
	return r;
}

void link_remap_undo(struct file_dump *d)
{
	vec_for_each (&d->links, l)
		if ((*l)->path && unlink((*l)->path) < 0)
			log_warn(d->s, "cannot remove %s: %s", (*l)->path, strerror(errno));
	d->links.n = 0;
	link_remap_done(d);
}

void link_remap_done(struct file_dump *d)
{
	brief_names_end(&d->names);
}
