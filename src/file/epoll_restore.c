/*
 * Restore of epoll sets: see epoll.c for what the images say.
 *
 * The kernel keys a target by its file and the number it is added by, and a signalfd is tied to
 * the task that adds it, so targets are added inside a task, when all its descriptors are there:
 * one that has the set, and the target under its number if any does.  Otherwise the target gets
 * the number for the moment, by a descriptor that the table has only until then (fd_slot.temporary)
 * and by moving aside what has the number now.
 *
 * A new target is reported if it is ready.  Where the dump saw that all edges had been reported
 * (epoll_idle), they are taken again, but only of files that nobody outside can have made ready
 * since: a lost edge is worse than one too many.  A disabled EPOLLONESHOT target cannot be added
 * as such; it is added first of all, as something that is ready, and reported.  If it is never
 * ready, it remains open to errors and hang-ups, which the kernel does not let one leave out.
 */
#include "file/epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "file/file_extras.h"

#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#endif

enum { TAKE_MAX = 64, SIGSET_SIZE = 8 };

struct epoll_holder {
	struct fd_table *table;
	uint32_t fd;
};

struct target_plan {
	const EventpollTfdEntry *e;
	struct open_file *file;
	uint32_t number;
	struct fd_table *table; /* where it is added */
};

struct epoll_plan {
	VEC(struct epoll_holder) holders;
	struct target_plan *targets;
	size_t n;
	bool one_table; /* adds all of them */
};

/* --- before anything is forked: who adds what --- */

static struct epoll_plan *plan_of(struct file_set *f, struct open_file *o)
{
	if (!o->state)
		o->state = arena_new(&f->s->arena, struct epoll_plan);
	return o->state;
}

/* The holders of all sets, in one pass. */
static void find_holders(struct file_set *f)
{
	f->epoll_holders_known = true;
	vec_for_each (&f->tables, table)
		vec_for_each (&(*table)->slots, slot) {
			if (slot->file->e->type != FD_TYPES__EVENTPOLL)
				continue;
			struct epoll_plan *plan = plan_of(f, slot->file);
			size_t n = plan->holders.n;
			if (!n || plan->holders.v[n - 1].table != *table)
				*vec_push(&f->s->arena, &plan->holders) =
					(struct epoll_holder){*table, slot->fd};
		}
}

static const struct fd_slot *slot_at(const struct fd_table *table, uint32_t fd)
{
	size_t low = 0, high = table->slots.n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct fd_slot *slot = &table->slots.v[middle];
		if (slot->fd == fd)
			return slot;
		if (slot->fd < fd)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* A holder whose number leads to the target: to any file where the image does not say which. */
static bool find_table(const struct epoll_plan *plan, struct target_plan *t)
{
	vec_for_each (&plan->holders, h) {
		const struct fd_slot *slot = slot_at(h->table, t->number);
		if (!slot || slot->temporary || (t->file && slot->file != t->file))
			continue;
		t->file = slot->file;
		t->table = h->table;
		return true;
	}
	return false;
}

static bool has_file(const struct fd_table *table, const struct open_file *o)
{
	vec_for_each (&table->slots, slot)
		if (slot->file == o)
			return true;
	return false;
}

static int by_number(const void *a, const void *b)
{
	const struct fd_slot *x = a, *y = b;
	return (x->fd > y->fd) - (x->fd < y->fd);
}

/* The target will be in the table for as long as it takes; under its number if that is free. */
static void add_temporary(struct file_set *f, struct target_plan *t)
{
	struct fd_table *table = t->table;
	uint32_t fd = t->number;
	if (slot_at(table, fd))
		fd = table->slots.v[table->slots.n - 1].fd + 1;
	*vec_push(&f->s->arena, &table->slots) = (struct fd_slot){
		.fd = fd, .close_on_exec = true, .temporary = true, .file = t->file};
	qsort(table->slots.v, table->slots.n, sizeof(*table->slots.v), by_number);
	id_map_put(&f->s->arena, &f->numbers, fd, t->file);
	t->file->uses_left++;
}

static int place(struct file_set *f, struct open_file *o, struct target_plan *t, bool deviates)
{
	struct epoll_plan *plan = o->state;
	if (find_table(plan, t))
		return 0;
	if (!deviates)
		return fail(f->s, EBADMSG, "%s: the epoll set watches fd %u, which the images lack",
			open_file_label(f, o), t->number);
	t->table = plan->holders.v[0].table;
	if (!has_file(t->table, t->file))
		add_temporary(f, t);
	id_map_put(&f->s->arena, &f->numbers, t->number, t->file);
	return 0;
}

static int read_deviations(struct file_set *f, struct open_file *o, bool *deviates)
{
	struct epoll_plan *plan = o->state;
	for (size_t i = 0; o->extra && i < o->extra->n_epoll_targets; i++) {
		const FermataEpollTarget *e = o->extra->epoll_targets[i];
		struct open_file *file = file_find(f, e->file);
		if (e->index >= plan->n || !file || !file->type || e->number >= INT32_MAX)
			return fail(f->s, EBADMSG, "fermata-files.img: a target of file %u is odd",
				o->id);
		plan->targets[e->index].number = e->number;
		plan->targets[e->index].file = file;
		deviates[e->index] = true;
	}
	return 0;
}

int epoll_check(struct file_set *f, struct open_file *o)
{
	const EventpollFileEntry *e = o->e->epfd;
	o->flags = e->flags;
	o->fown = e->fown;
	if (!f->epoll_holders_known)
		find_holders(f);
	struct epoll_plan *plan = plan_of(f, o);
	if (!e->n_tfd)
		return 0;
	if (!plan->holders.n)
		return fail(f->s, EOPNOTSUPP,
			"file %u: an epoll set that no task holds cannot be filled", o->id);
	plan->n = e->n_tfd;
	plan->targets = arena_array(&f->s->arena, struct target_plan, plan->n);
	bool *deviates = arena_array(&f->s->arena, bool, plan->n);
	for (size_t i = 0; i < plan->n; i++)
		plan->targets[i] = (struct target_plan){.e = e->tfd[i], .number = e->tfd[i]->tfd};
	int r = read_deviations(f, o, deviates);
	plan->one_table = true;
	for (size_t i = 0; i < plan->n && r >= 0; i++) {
		r = place(f, o, &plan->targets[i], deviates[i]);
		plan->one_table &= plan->targets[i].table == plan->targets[0].table;
	}
	return r;
}

int epoll_create_file(struct file_set *f, struct open_file *o, int *ret_fd)
{
	*ret_fd = epoll_create1(EPOLL_CLOEXEC);
	return *ret_fd < 0 ? fail(f->s, errno, "%s: make an epoll set", open_file_label(f, o)) : 0;
}

/* --- inside the task --- */

struct adding {
	struct file_set *f;
	struct program *p;
	struct fd_table *table;
	uint32_t epoll;
	struct id_map numbers; /* struct fd_slot, by id of the file; made when asked for */
};

static void plan_add(struct adding *a, const struct target_plan *t, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u64 = t->e->data};
	program_step(a->p, "watch", arena_printf(&a->f->s->arena, "fd %u", t->number),
		SYS_epoll_ctl, imm(a->epoll), imm(EPOLL_CTL_ADD), imm(t->number),
		in_copy(a->p, &event, sizeof(event)));
}

static uint32_t number_of(struct adding *a, const struct open_file *file)
{
	if (!a->numbers.n)
		vec_for_each (&a->table->slots, slot)
			id_map_put(&a->f->s->arena, &a->numbers, slot->file->id, slot);
	const struct fd_slot *slot = id_map_get(&a->numbers, file->id);
	return slot->fd;
}

static void plan_target(struct adding *a, const struct target_plan *t, uint32_t events)
{
	struct program *p = a->p;
	const struct fd_slot *there = slot_at(a->table, t->number);
	int saved = 0;
	if (there && there->file == t->file) {
		plan_add(a, t, events);
		return;
	}
	if (there)
		saved = program_step(p, "move aside", NULL, SYS_fcntl, imm(there->fd),
			imm(F_DUPFD_CLOEXEC), imm(0));
	program_step(p, "give it the number", NULL, SYS_dup3, imm(number_of(a, t->file)),
		imm(t->number), imm(O_CLOEXEC));
	plan_add(a, t, events);
	if (!there) {
		program_step(p, "close", NULL, SYS_close, imm(t->number));
		return;
	}
	program_step(p, "move back", NULL, SYS_dup3, result_of(saved), imm(there->fd),
		imm(there->close_on_exec ? O_CLOEXEC : 0));
	program_step(p, "close", NULL, SYS_close, result_of(saved));
}

/* What has been reported once is not reported again, unless level-triggered. */
static void plan_take(struct adding *a, size_t n)
{
	struct epoll_event *events = arena_array(&a->f->s->arena, struct epoll_event, TAKE_MAX);
	for (size_t i = 0; i < n; i += TAKE_MAX)
		program_step(a->p, "take old events", NULL, SYS_epoll_pwait, imm(a->epoll),
			out(a->p, events, TAKE_MAX * sizeof(*events)), imm(TAKE_MAX), imm(0),
			imm(0), imm(SIGSET_SIZE));
}

static bool is_disabled(const struct target_plan *t)
{
	return t->e->events & EPOLLONESHOT && !(t->e->events & ~EPOLL_HOW);
}

/* An edge that nobody outside of the tree can have caused. */
static bool is_old_edge(const struct open_file *o, const struct target_plan *t)
{
	FdTypes type = t->file->e->type;
	return file_extra_or(o, epoll_idle, false) && t->e->events & EPOLLET &&
	       !(t->e->events & EPOLLONESHOT) &&
	       (type == FD_TYPES__EVENTFD || type == FD_TYPES__PIPE || type == FD_TYPES__TIMERFD);
}

/* What the target is ready for now. Timers are: they are set anew later. */
static int ask_ready(struct file_set *f, const struct target_plan *t, uint32_t *ret)
{
	uint64_t ticks = 1;
	struct pollfd p = {.events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP};
	*ret = 0;
	if (f->s->opt->explain || t->file->e->type == FD_TYPES__SIGNALFD)
		return 0;
	int r = file_get(f, t->file, &p.fd);
	if (r < 0)
		return r;
	if (t->file->e->type == FD_TYPES__TIMERFD && ioctl(p.fd, TFD_IOC_SET_TICKS, &ticks) < 0)
		r = fail(f->s, errno, "%s: make the timer expire for an epoll set",
			open_file_label(f, t->file));
	else if (poll(&p, 1, 0) < 0)
		r = fail(f->s, errno, "%s: ask whether it is ready", open_file_label(f, t->file));
	else if (!(p.revents & POLLNVAL))
		*ret = (uint32_t)p.revents;
	file_drop(f, t->file);
	return r;
}

static int plan_disabled(struct adding *a, const struct open_file *o, const struct target_plan *t)
{
	const struct epoll_plan *plan = o->state;
	uint32_t ready = 0;
	int r = plan->one_table ? ask_ready(a->f, t, &ready) : 0;
	if (r < 0)
		return r;
	plan_target(a, t, t->e->events | ready);
	if (ready)
		plan_take(a, 1);
	else
		log_debug(a->f->s, "%s: fd %u, disabled in an epoll set, can report errors",
			a->p->about, t->number);
	return 0;
}

static int plan_all(struct adding *a, const struct open_file *o)
{
	const struct epoll_plan *plan = o->state;
	size_t edges = 0;
	int r = 0;
	for (size_t i = 0; i < plan->n && r >= 0; i++)
		if (plan->targets[i].table == a->table && is_disabled(&plan->targets[i]))
			r = plan_disabled(a, o, &plan->targets[i]);
	for (size_t i = 0; i < plan->n && plan->one_table; i++)
		if (is_old_edge(o, &plan->targets[i])) {
			plan_target(a, &plan->targets[i], plan->targets[i].e->events);
			edges++;
		}
	plan_take(a, edges);
	for (size_t i = 0; i < plan->n && r >= 0; i++) {
		const struct target_plan *t = &plan->targets[i];
		bool done = is_disabled(t) || (plan->one_table && is_old_edge(o, t));
		if (t->table == a->table && !done)
			plan_target(a, t, t->e->events);
	}
	return r;
}

/* For each descriptor of the set; the first of each table adds what that has to. */
int epoll_install(
	struct file_set *f, struct open_file *o, const struct fd_slot *slot, struct program *p)
{
	const struct epoll_plan *plan = o->state;
	vec_for_each (&plan->holders, h) {
		const struct fd_slot *first = h->table->slots.v;
		if (slot < first || slot >= first + h->table->slots.n || slot->fd != h->fd)
			continue;
		struct adding a = {.f = f, .p = p, .table = h->table, .epoll = slot->fd};
		return plan_all(&a, o);
	}
	return 0;
}
