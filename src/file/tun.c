/*
 * Descriptors of /dev/net/tun: tun and tap devices, or their queues.
 *
 * Two entries with the same id, as the reference has them: TUNF, and a REG one for the path.  The
 * device is tun_device.c's.  It is attached to by TUNSETIFF, whether it outlived the dump or not.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/major.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "file/file_extras.h"
#include "file/tun.h"
#include "file/tun_settings.h"
#include "image/codec.h"

#ifndef SIOCGSKNS
#define SIOCGSKNS 0x894C
#endif

enum { TUN_MINOR_NUMBER = 200 };

static bool tun_recognize(struct file_dump *d, const struct file_view *v)
{
	(void)d;
	return S_ISCHR(v->st.stx_mode) && v->st.stx_rdev_major == MISC_MAJOR &&
	       v->st.stx_rdev_minor == TUN_MINOR_NUMBER && !v->path_only && !(v->flags & O_PATH);
}

/* --- dump --- */

static bool is_of_another_namespace(int fd)
{
	struct stat its, ours;
	_cleanup_close_ int ns = ioctl(fd, SIOCGSKNS);
	return ns >= 0 && fstat(ns, &its) == 0 && stat("/proc/self/ns/net", &ours) == 0 &&
	       its.st_ino != ours.st_ino;
}

static int collect_path(struct file_dump *d, struct file_view *v, const struct dumped_file *f)
{
	struct dumped_file *reg = arena_new(&d->s->arena, struct dumped_file);
	*reg = *file_dump_new(d, FD_TYPES__REG);
	reg->id = f->id;
	int r = regular_collect(d, v, reg);
	*vec_push(&d->s->arena, &d->files) = reg;
	return r;
}

static int read_packets(struct file_dump *d, void *object)
{
	struct dumped_file *f = object;
	_cleanup_close_ int fd = source_take(d, &f->from);
	if (fd < 0)
		return fd;
	int r = tun_packets_read(d, fd, f->extra->tun);
	*vec_push(&d->s->arena, &d->tuns) = f->extra->tun;
	return r < 0 ? fail(d->s, r, "pid %d %s: read the packets that wait", f->from.task->vpid,
			       source_label(d, &f->from))
		     : 0;
}

void tun_dump_resume(struct file_dump *d)
{
	vec_for_each (&d->tuns, t) {
		int r = tun_packets_put_back(*t);
		if (r < 0)
			log_warn(d->s, "packets that waited in a tun device are lost: %s",
				strerror(-r));
	}
}

static int tun_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	TunfileEntry *e = arena_new(&d->s->arena, TunfileEntry);
	FermataTun *device;
	const char *name;
	bool detached;
	tunfile_entry__init(e);
	f->detail = e;
	e->id = f->id;
	e->has_ns_id = v->from.task->ids && v->from.task->ids->has_net_ns_id;
	e->ns_id = e->has_ns_id ? v->from.task->ids->net_ns_id : 0;
	if (is_of_another_namespace(v->fd)) {
		view_block(d, v, "run the tool in that namespace",
			"%s, of another network namespace", v->link);
		return 0;
	}
	int r = tun_device_dump(d, v, &device, &name, &detached);
	if (r < 0)
		return r;
	if (device) {
		e->netdev = (char *)(uintptr_t)name;
		e->has_detached = e->detached = detached;
		file_extra_make(d, f)->tun = device;
		if (!detached)
			file_dump_later(d, read_packets, f);
	}
	return collect_path(d, v, f);
}

/* --- restore --- */

static int tun_check(struct file_set *f, struct open_file *o)
{
	const TunfileEntry *e = o->e->tunf;
	struct stat st;
	if (!o->path)
		return fail(f->s, EBADMSG, "%s: the path of its tun device is not in the images",
			open_file_label(f, o));
	o->flags = o->path->flags;
	o->fown = o->path->fown;
	int r = path_stat(f, o->path->name, 0, &st);
	if (r < 0 || !S_ISCHR(st.st_mode))
		return fail(f->s, r < 0 ? r : -ENODEV, "%s: look for %s", open_file_label(f, o),
			o->path->name);
	if (!e->netdev)
		return 0;
	if (strlen(e->netdev) >= IFNAMSIZ || strchr(e->netdev, '/') || !o->extra || !o->extra->tun)
		return fail(f->s, EBADMSG, "%s: nothing tells of its tun device %s",
			open_file_label(f, o), e->netdev);
	return tun_device_check(f, o, o->extra->tun, e->netdev);
}

static int tun_create(struct file_set *f, struct open_file *o, int *ret_fd)
{
	const TunfileEntry *e = o->e->tunf;
	_cleanup_close_ int fd = path_open(f, o->path->name, (int)o->flags | O_CLOEXEC);
	struct ifreq off = {.ifr_flags = IFF_DETACH_QUEUE};
	int r = fd < 0 ? fail(f->s, fd, "%s: open %s", open_file_label(f, o), o->path->name) : 0;
	if (r >= 0 && e->netdev)
		r = tun_device_attach(f, o, o->extra->tun, e->netdev, fd);
	if (r >= 0 && e->netdev && e->detached && ioctl(fd, TUNSETQUEUE, &off) < 0)
		r = fail(f->s, errno, "%s: detach the queue of %s", open_file_label(f, o),
			e->netdev);
	if (r >= 0)
		*ret_fd = take_fd(&fd);
	return r;
}

bool tun_comes_as(const struct file_set *f, const char *name, unsigned index)
{
	vec_for_each (&f->all, o) {
		const FileEntry *e = (*o)->e;
		if (e->type != FD_TYPES__TUNF || !e->tunf->netdev || !(*o)->extra ||
			!(*o)->extra->tun || if_nametoindex(e->tunf->netdev))
			continue;
		if ((name && strcmp(e->tunf->netdev, name) == 0) ||
			(index && (*o)->extra->tun->index == index))
			return true;
	}
	return false;
}

bool tun_brings(const struct file_set *f, int family, const void *address)
{
	vec_for_each (&f->all, o)
		if ((*o)->e->type == FD_TYPES__TUNF && (*o)->extra && (*o)->extra->tun &&
			tun_has_address((*o)->extra->tun, family, address))
			return tun_comes_as(f, (*o)->e->tunf->netdev, 0);
	return false;
}

int tun_make_all(struct file_set *f)
{
	int fd, r = 0;
	vec_for_each (&f->all, o)
		if ((*o)->e->type == FD_TYPES__TUNF && (*o)->uses_left && r >= 0)
			r = file_get(f, *o, &fd);
	return r;
}

static void tun_drain(struct file_set *f, struct open_file *o, int fd)
{
	const TunfileEntry *e = o->e->tunf;
	if (e->netdev && o->extra->tun->flags & IFF_PERSIST && ioctl(fd, TUNSETPERSIST, 1) < 0)
		log_warn(f->s, "%s: %s will not outlive the program: %s", open_file_label(f, o),
			e->netdev, strerror(errno));
	int r = e->netdev ? tun_packets_put_back(o->extra->tun) : 0;
	if (r < 0)
		log_warn(f->s, "%s: packets that waited in %s are lost: %s", open_file_label(f, o),
			e->netdev, strerror(-r));
}

const struct file_type tun_type = {
	.type = FD_TYPES__TUNF,
	.name = "tun/tap descriptor",
	.restored =
		"tun and tap devices with addresses, routes, settings, unread packets; attached "
		"again if the device outlived the dump",
	.limits = "filters, XDP, queueing disciplines",
	.detail = offsetof(FileEntry, tunf),
	.recognize = tun_recognize,
	.collect = tun_collect,
	.check = tun_check,
	.create = tun_create,
	.drain = tun_drain,
};
