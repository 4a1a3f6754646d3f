/*
 * Giving stubs their descriptors.
 *
 * A table is filled in windows of ascending numbers.  The files of a window arrive by SCM_RIGHTS
 * on the lowest free numbers; as the k-th free number is never above the k-th wanted one, moving
 * them from the highest down overwrites only what was moved before.  Where each lands is
 * computed, so that one program receives and moves.
 *
 * Files that exist only once threads and all tables do (entries of /proc/PID/task and fdinfo)
 * come in a second pass, file_restore_late(), as does what a type must do inside the task.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/explain.h"
#include "file/file_lock.h"
#include "file/restoring.h"
#include "kernel/syscalls.h"
#include "socket/unix.h"

/* Numbers in use in one stub's table while it is filled. */
struct occupied {
	uint64_t *bits;
	uint32_t room; /* numbers; those above are free */
};

struct installing {
	struct file_set *f;
	struct stubs *st;
	struct fd_table *table;
	struct program *p;
	struct occupied used;
	uint32_t highest;	  /* number in use at any time */
	struct rlimit stub_limit; /* inherited from us */
	struct rlimit old_limit;  /* zero: not changed */
	bool late;
	struct fd_slot **slots; /* those of this pass */
	size_t n, at;		/* number of them; where the window begins */
};

static void occupy(struct occupied *u, uint32_t number)
{
	u->bits[number / 64] |= UINT64_C(1) << (number % 64);
}

static bool is_occupied(const struct occupied *u, uint32_t number)
{
	return u->bits[number / 64] >> (number % 64) & 1;
}

static uint32_t next_free(const struct occupied *u, uint32_t from)
{
	while (is_occupied(u, from))
		from++;
	return from;
}

static void init_occupied(struct installing *in)
{
	const struct fd_table *t = in->table;
	uint32_t high = (uint32_t)in->st->task_images; /* the highest of the service numbers */
	if (t->slots.n && t->slots.v[t->slots.n - 1].fd > high)
		high = t->slots.v[t->slots.n - 1].fd;
	in->highest = high;
	in->used.room = high + 1 + (uint32_t)t->slots.n + STUB_FDS_MAX;
	in->used.bits = arena_array(&in->f->s->arena, uint64_t, in->used.room / 64 + 1);
	for (int i = 0; i < STUB_SERVICES; i++)
		occupy(&in->used, (uint32_t)in->st->services[i]);
	if (!in->late)
		return;
	vec_for_each (&t->slots, slot)
		if (!slot->file->late)
			occupy(&in->used, slot->fd);
}

static int cmp_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* Numbers that only served to receive. */
static void plan_close(
	struct program *p, const uint32_t *landed, const uint32_t *wanted, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned first = i;
		while (i < n && landed[i] == landed[first] + (i - first) &&
			!bsearch(&landed[i], wanted, n, sizeof(*wanted), cmp_u32))
			i++;
		if (i > first)
			program_step(p, "close landing places", NULL, SYS_close_range,
				imm(landed[first]), imm(landed[i - 1]), imm(0));
		if (i > first)
			i--;
	}
}

static void plan_one(const struct installing *in, const struct fd_slot *slot, uint32_t landed)
{
	struct program *p = in->p;
	const char *what = in->st->explain ? open_file_text(in->f, slot->file) : NULL;
	if (landed != slot->fd)
		program_step(p, "install descriptor", what, SYS_dup3, imm(landed), imm(slot->fd),
			imm(slot->close_on_exec ? O_CLOEXEC : 0));
	else if (!slot->close_on_exec)
		program_step(p, "keep across exec", what, SYS_fcntl, imm(slot->fd), imm(F_SETFD),
			imm(0));
	uint32_t flags = slot->file->flags;
	if (flags & O_ASYNC && !(flags & O_PATH))
		program_step(p, "signal input and output", NULL, SYS_fcntl, imm(slot->fd),
			imm(F_SETFL), imm(flags));
}

static bool wants_late(const struct fd_table *t)
{
	vec_for_each (&t->slots, slot)
		if (slot->file->late || slot->file->made_inside || slot->file->type->install)
			return true;
	return file_lock_has(t);
}

/* What ends a pass over a table. */
static int plan_tail(struct installing *in)
{
	struct program *p = in->p;
	int r = 0;
	vec_for_each (&in->table->slots, slot)
		if (in->late && slot->file->type->install && (!slot->temporary || slot->installs) &&
			r >= 0)
			r = slot->file->type->install(in->f, slot->file, slot, p);
	vec_for_each (&in->table->slots, slot)
		if (in->late && slot->temporary)
			program_step(p, "close a temporary one", NULL, SYS_close, imm(slot->fd));
	if (in->late || !wants_late(in->table))
		stub_plan_close_services(in->st, p);
	if (in->late && r >= 0)
		r = file_lock_plan(in->f, in->table, p);
	if (in->old_limit.rlim_max)
		program_step(p, "put descriptor limit back", NULL, SYS_prlimit64, imm(0),
			imm(RLIMIT_NOFILE), in_copy(p, &in->old_limit, sizeof(in->old_limit)),
			imm(0));
	return r;
}

static int play(struct installing *in)
{
	int r = stub_play(in->st, leader(in->table->task), in->p);
	program_reset(in->p);
	return r;
}

static unsigned window_len(const struct installing *in)
{
	size_t left = in->n - in->at;
	return left < STUB_FDS_MAX ? (unsigned)left : STUB_FDS_MAX;
}

static int send_window(struct installing *in, struct fd_slot *const *slots, unsigned n)
{
	int fds[STUB_FDS_MAX];
	for (unsigned i = 0; i < n && in->st->explain; i++) {
		file_explain(in->f, slots[i]->file);
		explain_act("send %s to %d, as fd %u", open_file_text(in->f, slots[i]->file),
			in->table->task->vpid, slots[i]->fd);
	}
	if (in->st->explain)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		int r = file_get(in->f, slots[i]->file, &fds[i]);
		if (r < 0)
			return r;
	}
	return stub_send_fds(in->st, fds, n);
}

static int plan_window(struct installing *in)
{
	uint32_t landed[STUB_FDS_MAX], wanted[STUB_FDS_MAX];
	struct fd_slot *const *slots = in->slots + in->at;
	unsigned n = window_len(in);
	int r = send_window(in, slots, n);
	if (r < 0)
		return r;
	stub_plan_receive(in->st, in->p, n);
	for (unsigned i = 0; i < n; i++) {
		landed[i] = next_free(&in->used, i ? landed[i - 1] + 1 : 0);
		wanted[i] = slots[i]->fd;
	}
	int check = program_step(
		in->p, "see that all arrived", NULL, SYS_fcntl, imm(landed[n - 1]), imm(F_GETFD));
	program_expect(in->p, check, FD_CLOEXEC);
	for (unsigned i = n; i--;)
		plan_one(in, slots[i], landed[i]);
	plan_close(in->p, landed, wanted, n);
	return 0;
}

/* The stub has them now. */
static void pass_window(struct installing *in)
{
	unsigned n = window_len(in);
	for (unsigned i = 0; i < n; i++) {
		occupy(&in->used, in->slots[in->at + i]->fd);
		file_put(in->f, in->table, in->slots[in->at + i]);
	}
	in->at += n;
}

/* The table may have numbers beyond the limit that the stub has from us. */
static int raise_limit(struct installing *in)
{
	if (in->highest < in->stub_limit.rlim_cur)
		return 0;
	rlim_t need = in->highest + 1;
	struct rlimit want = in->stub_limit;
	want.rlim_cur = need;
	want.rlim_max = want.rlim_max > need ? want.rlim_max : need;
	program_step(in->p, "raise descriptor limit", NULL, SYS_prlimit64, imm(0),
		imm(RLIMIT_NOFILE), in_copy(in->p, &want, sizeof(want)),
		out(in->p, &in->old_limit, sizeof(in->old_limit)));
	return play(in);
}

static void init(struct installing *in)
{
	struct fd_table *t = in->table;
	in->slots = arena_array(&in->f->s->arena, struct fd_slot *, t->slots.n);
	vec_for_each (&t->slots, slot)
		if (slot->file->late == in->late && !slot->file->made_inside)
			in->slots[in->n++] = slot;
	in->p = &leader(t->task)->program;
	program_init(in->p, in->f->s, arena_printf(&in->f->s->arena, "pid %d", t->task->vpid));
	init_occupied(in);
}

/* Plays all windows but the last, which is started. */
static int begin_table(struct installing *in)
{
	struct thread *lead = leader(in->table->task);
	int r = stub_take_lane(in->st, lead);
	init(in);
	if (r >= 0)
		r = raise_limit(in);
	while (in->n - in->at > STUB_FDS_MAX && r >= 0) {
		r = plan_window(in);
		if (r >= 0)
			r = play(in);
		if (r >= 0)
			pass_window(in);
	}
	if (in->n && r >= 0)
		r = plan_window(in);
	if (r >= 0)
		r = plan_tail(in);
	return r < 0 ? r : stub_start(in->st, lead, in->p);
}

static int end_table(struct installing *in)
{
	int r = stub_wait(in->st, leader(in->table->task), in->p);
	if (r >= 0)
		pass_window(in);
	return r;
}

/* As many at once as there are lanes; but what is late may depend on what other tasks did. */
static int install_tables(
	struct file_set *f, struct stubs *st, const struct rlimit *limit, bool late)
{
	struct installing under_way[STUB_LANES];
	size_t begun = 0, ended = 0, at_once = late ? 1 : STUB_LANES;
	int r = 0;
	for (size_t i = 0; i < f->tables.n && r >= 0; i++) {
		struct fd_table *t = f->tables.v[i];
		if (late && !wants_late(t))
			continue;
		if (begun - ended == at_once)
			r = end_table(&under_way[ended++ % STUB_LANES]);
		struct installing *in = &under_way[begun++ % STUB_LANES];
		*in = (struct installing){
			.f = f, .st = st, .table = t, .stub_limit = *limit, .late = late};
		if (r >= 0)
			r = begin_table(in);
	}
	while (ended < begun && r >= 0)
		r = end_table(&under_way[ended++ % STUB_LANES]);
	return r;
}

/* Room for files that are made together: all the controller may have. Ours to put back. */
static struct rlimit raise_own_limit(void)
{
	struct rlimit old;
	getrlimit(RLIMIT_NOFILE, &old);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){old.rlim_max, old.rlim_max});
	return old;
}

int file_restore_tables(struct file_set *f, struct stubs *st)
{
	struct rlimit old = raise_own_limit();
	f->stubs = st;
	int r = st->explain ? 0 : unix_make_all(f);
	if (r >= 0)
		r = install_tables(f, st, &old, /* late= */ false);
	setrlimit(RLIMIT_NOFILE, &old);
	return r;
}

static int restore_owners(struct file_set *f)
{
	int r = 0;
	for (size_t i = 0; i < f->all.n && r >= 0; i++) {
		struct open_file *o = f->all.v[i];
		if (!o->fown || !o->fown->pid || (!o->holder && o->fd < 0))
			continue;
		int fd;
		r = file_get(f, o, &fd);
		if (r >= 0)
			r = fown_restore(f, o, fd);
		file_drop(f, o);
	}
	return r;
}

int file_restore_late(struct file_set *f, struct stubs *st)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	int r = io_uring_restore_all(f, st); /* epoll sets may watch them */
	if (r >= 0)
		r = packet_map_all(f, st);
	if (r >= 0)
		r = install_tables(f, st, &limit, /* late= */ true);
	if (r >= 0 && !st->explain)
		r = restore_owners(f);
	return r < 0 || st->explain ? r : memfd_seal_all(f);
}
