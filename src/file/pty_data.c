/*
 * What waits in pseudo terminals: tty-data.img, and whether their output is stopped.
 *
 * Reading the queues empties them (pty_queue.c), so they are put back at once, by a forked
 * process that outlives us if we are killed meanwhile.  A slave of our own is needed for it; a
 * master can tell by POLLHUP whether slaves were ever open and closed, so that must not change.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file/file_extras.h"
#include "file/tty.h"
#include "kernel/syscalls.h"

struct pair_data {
	int result;
	struct pty_queues queues;
};

struct pairs {
	VEC(struct tty_dump *) masters;
	struct pair_data *data; /* shared with the process that does it */
};

/* --- in the process --- */

static int set_lock(int master, int locked)
{
	return ioctl(master, TIOCSPTLCK, &locked) < 0 ? -errno : 0;
}

static int borrow_slave(struct file_dump *d, const struct tty_dump *t, int master)
{
	int how = O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
	if (t->info->locked)
		set_lock(master, 0);
	int fd = ioctl(master, TIOCGPTPEER, how);
	if (fd >= 0 || !t->peer || !t->peer->files.n)
		return fd < 0 ? -errno : fd;
	return source_reopen(d, &t->peer->from, O_RDWR);
}

/*
 * A failed open marks the slave as out of order, and closing one that is does not hang up the
 * master (drivers/tty/pty.c, pty_close()); the next good open mends that.
 */
static void give_slave_back(const struct tty_dump *t, int master, int slave)
{
	bool never_opened = !t->slaves_closed && (!t->peer || !t->peer->files.n);
	if (never_opened) {
		set_lock(master, 1);
		int none = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (none >= 0)
			close(none);
	}
	close(slave);
	if (never_opened || t->info->locked)
		set_lock(master, t->info->locked);
}

/* Open files that would send signals (O_ASYNC) for what is read and typed here. */
struct armed {
	int fd, flags;
	int number; /* by which it was armed: si_fd of the signal */
};
typedef VEC(struct armed) armed_vec;

static void disarm(struct file_dump *d, const struct tty_dump *t, armed_vec *ret)
{
	for (size_t i = 0; t && i < t->files.n; i++) {
		const struct file_source *from = &t->files.v[i]->from;
		int fd = source_take(d, from);
		int flags = fd < 0 ? 0 : fcntl(fd, F_GETFL);
		if (flags & O_ASYNC && fcntl(fd, F_SETFL, flags & ~O_ASYNC) == 0)
			*vec_push(&d->s->arena, ret) = (struct armed){fd, flags, from->number};
		else if (fd >= 0)
			close(fd);
	}
}

/* Through a descriptor of the right number, which may be in use here. */
static int arm(const struct armed *a)
{
	int other = fcntl(a->number, F_DUPFD_CLOEXEC, 0);
	int r = dup2(a->fd, a->number) < 0 || fcntl(a->number, F_SETFL, a->flags) < 0
			? -errno
			: 0;
	close(a->number);
	if (other >= 0) {
		dup3(other, a->number, O_CLOEXEC);
		close(other);
	}
	return r;
}

static int copy_disarmed(struct file_dump *d, const struct tty_dump *t, int master, int slave,
	struct pty_queues *q)
{
	armed_vec armed = {0};
	disarm(d, t, &armed);
	disarm(d, t->peer, &armed);
	int r = pty_queues_copy(master, slave, q);
	vec_for_each (&armed, a) {
		int back = arm(a);
		r = r < 0 ? r : back;
	}
	vec_for_each (&armed, a)
		close(a->fd);
	return r;
}

static int copy_pair(struct file_dump *d, const struct tty_dump *t, struct pty_queues *q)
{
	_cleanup_close_ int master = source_take(d, &t->from);
	if (master < 0)
		return master;
	int slave = borrow_slave(d, t, master);
	if (slave < 0)
		return slave;
	int r = copy_disarmed(d, t, master, slave, q);
	give_slave_back(t, master, slave);
	return r;
}

static void copy_all(struct file_dump *d, struct pairs *p)
{
	for (size_t i = 0; i < p->masters.n; i++)
		p->data[i].result = copy_pair(d, p->masters.v[i], &p->data[i].queues);
}

/* --- in the controller --- */

/* Signals stay blocked in the process: ^C is for the whole group of a terminal. */
static int run_copies(struct file_dump *d, struct pairs *p)
{
	sigset_t all, old;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	pid_t pid = fork();
	if (pid == 0) {
		setsid(); /* no job control for us, should one of them be our terminal */
		copy_all(d, p);
		_exit(0);
	}
	int err = errno, status = -1;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		return fail(d->s, err, "fork to read terminals");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status ? fail(d->s, EIO, "read terminals: it ended with wait status %#x", status)
		      : 0;
}

static int write_bytes(
	struct file_dump *d, struct image_writer *w, uint32_t id, struct pty_bytes *b)
{
	TtyDataEntry e = TTY_DATA_ENTRY__INIT;
	e.tty_id = id;
	e.data = (ProtobufCBinaryData){.len = b->len, .data = (uint8_t *)b->data};
	return b->len ? image_write(d->s, w, &e.base) : 0;
}

static int write_pair(
	struct file_dump *d, struct image_writer *w, struct tty_dump *t, struct pair_data *data)
{
	if (data->result == -EILSEQ)
		return fail_remedy(d->s, EILSEQ, "have the input read, or typed again",
			"pid %d fd %d: the terminal has input that cannot be typed as its "
			"parameters are now",
			t->from.task->vpid, t->from.number);
	if (data->result < 0)
		return fail(d->s, data->result, "pid %d fd %d: read what waits in its terminal",
			t->from.task->vpid, t->from.number);
	if (data->queues.flow != PTY_FLOWS) {
		FermataFileEntry *e = file_extra_make(d, t->files.v[0]);
		e->has_stopped_by_ioctl = true;
		e->stopped_by_ioctl = data->queues.flow == PTY_STOPPED_BY_IOCTL;
	}
	int r = write_bytes(d, w, t->info->id, &data->queues.output);
	return r < 0 ? r : write_bytes(d, w, t->info->id - 1, &data->queues.input);
}

static int write_records(struct file_dump *d)
{
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	image_writer_init(&w, d->s->images, IMG_TTY_INFO, 0);
	vec_for_each (&d->ttys->all, t) {
		int r = image_write(d->s, &w, &(*t)->info->base);
		if (r < 0)
			return r;
	}
	return image_writer_close(d->s, &w);
}

static int write_pairs(struct file_dump *d, struct pairs *p)
{
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	image_writer_init(&w, d->s->images, IMG_TTY_DATA, 0);
	for (size_t i = 0; i < p->masters.n; i++) {
		int r = write_pair(d, &w, p->masters.v[i], &p->data[i]);
		if (r < 0)
			return r;
	}
	return image_writer_close(d->s, &w);
}

/*
 * Terminals whose other end is outside: a ^C may still be on its way from there.  To poll them delivers what
 * waits for a worker of the kernel.
 */
static int let_arrive(struct file_dump *d)
{
	vec_for_each (&d->ttys->all, it) {
		const struct tty_dump *t = *it;
		bool open = t->files.n; /* or it is only the controlling one of a leader */
		if (!open || t->master || t->peer || t->hung_up || t->info->type != TTY_TYPE__PTY)
			continue;
		_cleanup_close_ int fd = source_take(d, &t->from);
		int r = fd < 0 ? fd : sys_poll_now(fd, POLLIN);
		if (r < 0)
			return fail(d->s, r, "pid %d %s: let what was typed arrive",
				t->from.task->vpid, source_label(d, &t->from));
	}
	return 0;
}

int pty_data_write(struct file_dump *d)
{
	struct pairs p = {0};
	vec_for_each (&d->ttys->all, t)
		if ((*t)->master && (*t)->info->type == TTY_TYPE__PTY)
			*vec_push(&d->s->arena, &p.masters) = *t;
	int r = let_arrive(d);
	if (r >= 0)
		r = write_records(d);
	if (r < 0 || !p.masters.n)
		return r;
	size_t len = p.masters.n * sizeof(*p.data);
	p.data = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p.data == MAP_FAILED)
		return fail(d->s, errno, "make room for what waits in terminals");
	r = run_copies(d, &p);
	if (r >= 0)
		r = write_pairs(d, &p);
	munmap(p.data, len);
	return r;
}
