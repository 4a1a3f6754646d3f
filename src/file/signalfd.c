/*
 * Signals read from a descriptor: signalfd(2).
 *
 * The file is only a set of signals; whoever reads takes them from its own queues.  So the mask,
 * from fdinfo, is all there is, and who makes it does not matter.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file/dumping.h"
#include "file/restoring.h"
#include "kernel/proc_fdinfo.h"

static bool signalfd_recognize(struct file_dump *d, const struct file_view *v)
{
	(void)d;
	return strcmp(v->link, "anon_inode:[signalfd]") == 0;
}

static int signalfd_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	SignalfdEntry *e = arena_new(&d->s->arena, SignalfdEntry);
	struct proc_fdinfo info;
	f->detail = e;
	signalfd_entry__init(e);
	e->id = f->id;
	e->flags = v->flags & ~(uint32_t)O_CLOEXEC;
	int r = view_fdinfo(d, v, &info);
	if (r < 0)
		return r;
	if (!fdinfo_number(&info, "sigmask", 16, &e->sigmask))
		return view_malformed(d, v);
	return fown_dump(d, v, &e->fown);
}

static int signalfd_check(struct file_set *f, struct open_file *o)
{
	(void)f;
	o->flags = o->e->sgfd->flags;
	o->fown = o->e->sgfd->fown;
	return 0;
}

/* glibc's sigset_t is larger than the kernel's */
static int signalfd_create(struct file_set *f, struct open_file *o, int *ret_fd)
{
	uint64_t mask = o->e->sgfd->sigmask;
	*ret_fd = (int)syscall(SYS_signalfd4, -1, &mask, sizeof(mask), O_CLOEXEC);
	return *ret_fd < 0 ? fail(f->s, errno, "%s: make a signalfd", open_file_label(f, o)) : 0;
}

const struct file_type signalfd_type = {
	.type = FD_TYPES__SIGNALFD,
	.name = "signalfd",
	.restored = "mask",
	.detail = offsetof(FileEntry, sgfd),
	.recognize = signalfd_recognize,
	.collect = signalfd_collect,
	.check = signalfd_check,
	.create = signalfd_create,
};
