/*
 * Event counters: eventfd(2).
 *
 * fdinfo tells the counter (hexadecimal) and, since Linux 6.5, whether it is a semaphore, which
 * only creation can make it.  The reference's entry has no field for that: it goes to
 * fermata-files.img.  eventfd() takes 32 bits of the counter, so it is given by a write().
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "file/dumping.h"
#include "file/file_extras.h"
#include "file/restoring.h"
#include "kernel/proc_fdinfo.h"

static bool eventfd_recognize(struct file_dump *d, const struct file_view *v)
{
	(void)d;
	return strcmp(v->link, "anon_inode:[eventfd]") == 0;
}

/* Linux 5.2 numbers them; 0 will do. */
static uint64_t eventfd_key(struct file_dump *d, struct file_view *v)
{
	struct proc_fdinfo info;
	uint64_t id = 0;
	if (view_fdinfo(d, v, &info) < 0)
		return 0; /* the failure is recorded, and collect comes to it again */
	fdinfo_number(&info, "eventfd-id", 10, &id);
	return id + 1;
}

static int eventfd_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	EventfdFileEntry *e = arena_new(&d->s->arena, EventfdFileEntry);
	struct proc_fdinfo info;
	uint64_t semaphore = 0;
	f->detail = e;
	eventfd_file_entry__init(e);
	e->id = f->id;
	e->flags = v->flags & ~(uint32_t)O_CLOEXEC;
	int r = view_fdinfo(d, v, &info);
	if (r < 0)
		return r;
	if (!fdinfo_number(&info, "eventfd-count", 16, &e->counter))
		return view_malformed(d, v);
	if (e->counter == UINT64_MAX)
		view_block(d, v, NULL, "an eventfd that the kernel has overflown");
	fdinfo_number(&info, "eventfd-semaphore", 10, &semaphore);
	if (semaphore) {
		FermataFileEntry *extra = file_extra_make(d, f);
		extra->has_semaphore = extra->semaphore = true;
	}
	return fown_dump(d, v, &e->fown);
}

static int eventfd_check(struct file_set *f, struct open_file *o)
{
	o->flags = o->e->efd->flags;
	o->fown = o->e->efd->fown;
	if (o->e->efd->counter == UINT64_MAX)
		return fail(f->s, EBADMSG, "%s: no eventfd can be set to the counter of its image",
			open_file_label(f, o));
	return 0;
}

static int eventfd_create(struct file_set *f, struct open_file *o, int *ret_fd)
{
	uint64_t counter = o->e->efd->counter;
	bool semaphore = file_extra_or(o, semaphore, false);
	_cleanup_close_ int fd =
		eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | (semaphore ? EFD_SEMAPHORE : 0));
	if (fd < 0)
		return fail(f->s, errno, "%s: make an eventfd", open_file_label(f, o));
	if (counter && write(fd, &counter, sizeof(counter)) != sizeof(counter))
		return fail(f->s, errno, "%s: set an eventfd to %ju", open_file_label(f, o),
			(uintmax_t)counter);
	*ret_fd = take_fd(&fd);
	return 0;
}

const struct file_type eventfd_type = {
	.type = FD_TYPES__EVENTFD,
	.name = "eventfd",
	.restored = "counter, semaphore mode (which the reference loses)",
	.limits = "a counter that the kernel has overflown",
	.detail = offsetof(FileEntry, efd),
	.recognize = eventfd_recognize,
	.collect = eventfd_collect,
	.key = eventfd_key,
	.check = eventfd_check,
	.create = eventfd_create,
};
