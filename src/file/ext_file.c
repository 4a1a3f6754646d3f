/*
 * Open files that a plugin takes: type EXT of files.img (include/criu/criu-plugin.h).
 *
 * The image has no more than the id, by which the plugin finds what it stored, and the owner of
 * signals.  At restore the plugin gives a descriptor, or says that it is not ready: then the other
 * files of plugins come first, since it may wait for one of them, and after that we wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "file/dumping.h"
#include "file/restoring.h"
#include "plugin/plugin.h"

enum { READY_WAIT_MS = 10000, READY_POLL_MS = 5 };

int ext_file_collect(struct file_dump *d, const struct file_view *v, struct dumped_file *f)
{
	if (d->dry || v->path_only || !plugins_have(d->s, CR_PLUGIN_HOOK__DUMP_EXT_FILE))
		return -ENOTSUP;
	int r = plugin_dump_ext_file(d->s, v->fd, f->id);
	if (r == -ENOTSUP)
		return r;
	if (r < 0)
		return fail(d->s, r, "pid %d %s: a plugin could not dump %s", v->from.task->vpid,
			view_label(d, v), v->link);
	ExtFileEntry *e = arena_new(&d->s->arena, ExtFileEntry);
	ext_file_entry__init(e);
	e->id = f->id;
	f->detail = e;
	f->kind = FD_TYPES__EXT;
	f->type = file_type_of(FD_TYPES__EXT);
	return fown_dump(d, v, &e->fown);
}

static bool ext_recognize(struct file_dump *d, const struct file_view *v)
{
	(void)d;
	(void)v;
	return false; /* what nobody recognizes is offered to plugins */
}

static int ext_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	return ext_file_collect(d, v, f);
}

/* --- restore --- */

static int ext_check(struct file_set *f, struct open_file *o)
{
	o->fown = o->e->ext->fown;
	if (!plugins_may_run(f->s) || plugins_have(f->s, CR_PLUGIN_HOOK__RESTORE_EXT_FILE))
		return 0;
	return fail_remedy(f->s, ENOTSUP, "name the plugin's directory with --libdir",
		"%s: a plugin dumped this file, and none is here that could restore it",
		open_file_label(f, o));
}

/* Asks for those that nobody has asked for yet; returns whether there were any. */
static int make_others(struct file_set *f, bool *ret_any)
{
	*ret_any = false;
	for (size_t i = 0; i < f->all.n; i++) {
		struct open_file *o = f->all.v[i];
		int fd;
		if (o->e->type != FD_TYPES__EXT || o->state || o->fd >= 0 || o->holder ||
			o->inherited >= 0)
			continue;
		*ret_any = true;
		int r = file_get(f, o, &fd);
		if (r < 0)
			return r;
	}
	return 0;
}

static int ask_until_ready(struct file_set *f, struct open_file *o, int *ret_fd)
{
	uint64_t deadline_us = now_us() + (uint64_t)READY_WAIT_MS * 1000;
	for (;;) {
		bool retry, any;
		int fd = plugin_restore_ext_file(f->s, o->id, &retry);
		if (!retry && fd < 0)
			return fail(f->s, fd, "%s: no plugin could restore this file",
				open_file_label(f, o));
		if (!retry) {
			*ret_fd = fd;
			return 0;
		}
		int r = make_others(f, &any);
		if (r < 0)
			return r;
		if (!any && now_us() > deadline_us)
			return fail(f->s, ETIMEDOUT, "%s: the plugin is not ready to restore it",
				open_file_label(f, o));
		if (!any)
			poll(NULL, 0, READY_POLL_MS);
	}
}

static int ext_create(struct file_set *f, struct open_file *o, int *ret_fd)
{
	o->state = o; /* is being made */
	int r = ask_until_ready(f, o, ret_fd);
	if (r >= 0)
		fcntl(*ret_fd, F_SETFD, FD_CLOEXEC);
	return r;
}

const struct file_type ext_file_type = {
	.type = FD_TYPES__EXT,
	.name = "file of a plugin",
	.restored = "whatever a plugin takes (`--libdir`)",
	.detail = offsetof(FileEntry, ext),
	.sets_flags = true,
	.recognize = ext_recognize,
	.collect = ext_collect,
	.check = ext_check,
	.create = ext_create,
};
