/* Programs, and single calls: a thin skin over engine/program.h, each with a session of its own. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/explain.h"
#include "engine/visit.h"

struct fermata_program {
	struct fermata_inject *t;
	struct session s;
	struct program p;
	bool played;
};

/* The agent is of no use any more if it did not come back: crashed, or its task is gone. */
static int play(struct fermata_inject *t, struct program *p)
{
	int r = visit_play(t->visit, p);
	t->broken = r < 0 && !t->visit->running;
	return r;
}

int inject_play(struct fermata_inject *t, struct program *p)
{
	int r = inject_need_agent(t);
	return r < 0 ? r : inject_report(t, p->s, play(t, p));
}

static int add_call(struct program *p, long nr, const struct arg arg[6])
{
	const char *name = syscall_name((uint32_t)nr);
	return program_step(p, name ? name : "system call",
		name ? NULL : arena_printf(&p->s->arena, "%ld", nr), nr, arg[0], arg[1], arg[2],
		arg[3], arg[4], arg[5]);
}

int fermata_inject_call(
	struct fermata_inject *t, long nr, const uint64_t arg[6], int64_t *ret_result)
{
	int r = inject_need_agent(t);
	if (r < 0)
		return r;
	struct program *p = &t->call;
	program_reset(p);
	int step = program_step(p, "system call", NULL, nr, imm(arg ? arg[0] : 0),
		imm(arg ? arg[1] : 0), imm(arg ? arg[2] : 0), imm(arg ? arg[3] : 0),
		imm(arg ? arg[4] : 0), imm(arg ? arg[5] : 0));
	program_may_fail(p, step);
	r = inject_play(t, p);
	if (r >= 0)
		*ret_result = program_result(p, step);
	return r;
}

struct fermata_program *fermata_program_new(struct fermata_inject *t)
{
	struct fermata_program *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->t = t;
	inject_session_init(&p->s);
	program_init(&p->p, &p->s, "program");
	return p;
}

void fermata_program_free(struct fermata_program *p)
{
	if (!p)
		return;
	session_release(&p->s);
	free(p);
}

static struct fermata_arg public_arg(struct arg a)
{
	return (struct fermata_arg){.kind = a.kind, .index = a.index, .value = a.value};
}

static struct arg inner_arg(struct fermata_arg a)
{
	return (struct arg){.kind = (enum arg_kind)a.kind, .index = a.index, .value = a.value};
}

struct fermata_arg fermata_value(uint64_t value)
{
	return public_arg(imm(value));
}

struct fermata_arg fermata_result(int step)
{
	return public_arg(result_of(step));
}

struct fermata_arg fermata_in(struct fermata_program *p, const void *data, size_t len)
{
	return public_arg(in(&p->p, data, len));
}

struct fermata_arg fermata_out(struct fermata_program *p, void *data, size_t len)
{
	return public_arg(out(&p->p, data, len));
}

struct fermata_arg fermata_inout(struct fermata_program *p, void *data, size_t len)
{
	return public_arg(inout(&p->p, data, len));
}

struct fermata_arg fermata_at(struct fermata_arg data, uint64_t offset)
{
	return public_arg(inside(inner_arg(data), offset));
}

void fermata_link(
	struct fermata_program *p, struct fermata_arg from, size_t offset, struct fermata_arg to)
{
	program_link(&p->p, inner_arg(from), offset, inner_arg(to));
}

int fermata_program_step(struct fermata_program *p, long nr, const struct fermata_arg arg[6])
{
	struct arg inner[6];
	for (int i = 0; i < 6; i++)
		inner[i] = inner_arg(arg[i]);
	return add_call(&p->p, nr, inner);
}

void fermata_program_may_fail(struct fermata_program *p, int step)
{
	program_may_fail(&p->p, step);
}

void fermata_program_expect(struct fermata_program *p, int step, int64_t result)
{
	program_expect(&p->p, step, result);
}

int64_t fermata_program_result(const struct fermata_program *p, int step)
{
	return program_result(&p->p, step);
}

static int begin(struct fermata_program *p, pid_t tid)
{
	int r = inject_need_agent(p->t);
	if (r < 0)
		return r;
	if (p->played)
		return inject_fail(p->t, EALREADY, "this program was played before");
	p->played = true;
	p->p.about = arena_printf(&p->s.arena, "pid %d", tid);
	return 0;
}

int fermata_program_play(struct fermata_program *p)
{
	int r = begin(p, p->t->task ? p->t->task->pid : 0);
	return r < 0 ? r : inject_play(p->t, &p->p);
}

/* The engine asks that the leader is in its agent before others take a seat. */
static int start_leader(struct fermata_inject *t)
{
	int64_t ignored;
	return t->visit->running ? 0 : fermata_inject_call(t, SYS_getpid, NULL, &ignored);
}

int fermata_program_play_on(struct fermata_program *p, pid_t tid)
{
	struct fermata_inject *t = p->t;
	if (t->task && tid == t->task->pid)
		return fermata_program_play(p);
	int r = begin(p, tid);
	if (r < 0)
		return r;
	struct thread *th = inject_find_thread(t, tid);
	if (!th)
		return inject_fail(t, ESRCH, "pid %d has no thread %d", t->task->pid, tid);
	r = start_leader(t);
	if (r < 0)
		return r;
	r = visit_send(t->visit, &th, &p->p, 1);
	if (r >= 0)
		r = visit_fetch(t->visit);
	return inject_report(t, &p->s, r);
}
