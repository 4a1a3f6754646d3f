/*
 * Adjustments of semaphores at exit (SEM_UNDO): of a process, for each semaphore it used so.
 *
 * Nothing shows them, but the kernel refuses to let one grow beyond 32767 (ERANGE).  So the task
 * itself asks for an operation that would add k to it, moves the semaphore there and back, and
 * ends in waiting for what cannot be, without waiting (EAGAIN): whichever of the two it is, the
 * kernel has undone all of it.  Bisecting k gives the value.  The same way of moving there and
 * back, half of it with SEM_UNDO, makes an adjustment again.
 *
 * kcmp(2) tells who has a list of them at all, and whose is the same; all threads of a process
 * share one as far as a restore makes them.
 */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/sem.h"
#include "kernel/kcmp.h"
#include "kernel/syscalls.h"
#include "task/aspect.h"
#include "task/extras.h"

extern const struct aspect sem_undo_aspect;

enum {
	VALUE_MAX = 32767, /* SEMVMX, and SEMAEM for adjustments */
	ADJUSTMENT_MIN = -VALUE_MAX - 1,
	OPS_MAX = 8, /* VALUE_MAX - ADJUSTMENT_MIN takes three moves there and back, and an end */
};

/* --- dump: who has a list --- */

/* A process that certainly has none. */
static pid_t fork_innocent(void)
{
	pid_t pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

static void check_threads(struct session *s, const struct task *t)
{
	for (size_t i = 1; i < t->threads.n; i++)
		if (sys_kcmp(t->pid, t->threads.v[i]->tid, KCMP_SYSVSEM, 0, 0) != 0) {
			block(s, t->vpid, "have it started with CLONE_SYSVSEM, as pthreads are",
				"thread %d: has SEM_UNDO adjustments of its own, apart from its "
				"process",
				t->threads.v[i]->vtid);
			return;
		}
}

static int look_at(struct session *s, struct kcmp_tree *lists, struct task *t, pid_t innocent)
{
	struct kcmp_node *node;
	check_threads(s, t);
	if (sys_kcmp(t->pid, innocent, KCMP_SYSVSEM, 0, 0) <= 0)
		return 0;
	t->may_undo = true;
	int r = kcmp_tree_task(s, lists, t->pid, &node);
	if (r >= 0 && node->object)
		block(s, t->vpid, NULL, "shares its SEM_UNDO adjustments with process %d",
			((const struct task *)node->object)->vpid);
	else if (r >= 0)
		node->object = t;
	return r;
}

int sem_undo_collect(struct session *s, const struct tree *tree)
{
	struct kcmp_tree lists = KCMP_TREE(KCMP_SYSVSEM, 1);
	pid_t innocent = fork_innocent();
	if (innocent < 0)
		return fail(s, errno, "fork to compare lists of SEM_UNDO");
	int r = 0;
	for (size_t i = 0; i < tree->tasks.n && r >= 0; i++)
		if (task_lives(tree->tasks.v[i]))
			r = look_at(s, &lists, tree->tasks.v[i], innocent);
	kill(innocent, SIGKILL);
	while (waitpid(innocent, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}

/* --- dump: what is in it --- */

struct semaphore {
	int set;
	uint16_t number, value;
	int step[2];
	int low, high; /* the k that is asked for is between these */
};

/* Is adjustment + k more than VALUE_MAX? ERANGE: yes. EAGAIN: no. */
static int plan_question(struct program *p, const struct semaphore *m, int k)
{
	struct sembuf ops[OPS_MAX];
	size_t n = 0;
	if (m->value < VALUE_MAX)
		ops[n++] = (struct sembuf){m->number, (short)(VALUE_MAX - m->value), IPC_NOWAIT};
	while (k > 0) {
		short part = (short)(k < VALUE_MAX ? k : VALUE_MAX);
		ops[n++] = (struct sembuf){m->number, (short)-part, SEM_UNDO | IPC_NOWAIT};
		ops[n++] = (struct sembuf){m->number, part, IPC_NOWAIT};
		k -= part;
	}
	ops[n++] = (struct sembuf){m->number, 0, IPC_NOWAIT};
	return program_may_fail(
		p, program_step(p, "ask for SEM_UNDO adjustments", NULL, SYS_semop,
			   imm((uint64_t)m->set), in_copy(p, ops, n * sizeof(*ops)), imm(n)));
}

static int ask(struct session *s, struct visit *v, const struct task *t, struct program *p)
{
	p->about = arena_printf(&s->arena, "pid %d", t->pid);
	return visit_play(v, p);
}

static bool has_none(const struct program *p, const struct semaphore *m)
{
	return program_result(p, m->step[0]) == -EAGAIN && program_result(p, m->step[1]) == -ERANGE;
}

/* Whether the kernel did not answer; a set that the task may not even change it has not changed. */
static bool is_unclear(struct session *s, const struct task *t, const struct program *p,
	const struct semaphore *m, int step)
{
	int64_t answer = program_result(p, step);
	if (answer == -EAGAIN || answer == -ERANGE)
		return false;
	if (answer != -EACCES || sem_value(t->tree, m->set, m->number) >= 0)
		block(s, t->vpid, "raise /proc/sys/kernel/sem if it allows few operations at once",
			"its SEM_UNDO adjustments of semaphore set %d cannot be asked for: %s",
			m->set, strerror((int)-answer));
	return true;
}

typedef VEC(struct semaphore) semaphores;

static int find_adjusted(
	struct session *s, const struct task *t, struct visit *v, semaphores *all, semaphores *ret)
{
	struct program p;
	program_init(&p, s, NULL);
	vec_for_each (all, m) {
		m->step[0] = plan_question(&p, m, VALUE_MAX);
		m->step[1] = plan_question(&p, m, VALUE_MAX + 1);
	}
	int r = ask(s, v, t, &p);
	for (size_t i = 0; i < all->n && r >= 0; i++) {
		struct semaphore *m = &all->v[i];
		if (has_none(&p, m) || is_unclear(s, t, &p, m, m->step[0]))
			continue;
		if (sem_value(t->tree, m->set, m->number) < 0)
			block(s, t->vpid, "have it use semop() without SEM_UNDO",
				"has SEM_UNDO adjustments of semaphore set %d, which others use",
				m->set);
		*vec_push(&s->arena, ret) = *m;
	}
	return r;
}

/* The least k that is too much, for all of them at once. */
static int bisect(struct session *s, const struct task *t, struct visit *v, semaphores *all)
{
	int r = 0;
	vec_for_each (all, m) {
		m->low = 0;
		m->high = VALUE_MAX - ADJUSTMENT_MIN + 1;
	}
	for (bool done = !all->n; !done && r >= 0;) {
		struct program p;
		program_init(&p, s, NULL);
		vec_for_each (all, m)
			m->step[0] = plan_question(&p, m, (m->low + m->high) / 2);
		r = ask(s, v, t, &p);
		done = true;
		for (size_t i = 0; i < all->n && r >= 0; i++) {
			struct semaphore *m = &all->v[i];
			int k = (m->low + m->high) / 2;
			if (is_unclear(s, t, &p, m, m->step[0]))
				return 0;
			if (m->low == m->high)
				continue;
			if (program_result(&p, m->step[0]) == -ERANGE)
				m->high = k;
			else
				m->low = k + 1;
			done &= m->low == m->high;
		}
	}
	return r;
}

static void store(struct session *s, struct task *t, const semaphores *all)
{
	if (!all->n)
		return;
	FermataEntry *e = extras_make(s, leader(t));
	e->sem_undo = arena_array(&s->arena, FermataSemUndo *, all->n);
	vec_for_each (all, m) {
		FermataSemUndo *u = e->sem_undo[e->n_sem_undo++] =
			arena_new(&s->arena, FermataSemUndo);
		fermata_sem_undo__init(u);
		u->set = (uint32_t)m->set;
		u->number = m->number;
		u->adjustment = VALUE_MAX + 1 - m->low;
	}
}

static void list_semaphores(struct session *s, semaphores *ret)
{
	sem_ids ids = {0};
	sem_list(s, &ids);
	for (size_t i = 0; i < ids.n; i++) {
		struct semid_ds ds;
		union semun arg = {.buf = &ds};
		if (semctl(ids.v[i], 0, IPC_STAT, arg) < 0)
			continue;
		unsigned short *values = arg.array =
			arena_array(&s->arena, unsigned short, ds.sem_nsems);
		if (semctl(ids.v[i], 0, GETALL, arg) < 0)
			continue;
		for (unsigned long k = 0; k < ds.sem_nsems; k++)
			*vec_push(&s->arena, ret) = (struct semaphore){
				.set = ids.v[i], .number = (uint16_t)k, .value = values[k]};
	}
}

int sem_undo_read(struct session *s, struct task *t, struct visit *v)
{
	semaphores all = {0}, adjusted = {0};
	list_semaphores(s, &all);
	int r = find_adjusted(s, t, v, &all, &adjusted);
	if (r >= 0)
		r = bisect(s, t, v, &adjusted);
	if (r >= 0)
		store(s, t, &adjusted);
	return r;
}

/* --- restore --- */

static int undo_check(struct session *s, struct thread *t)
{
	for (size_t i = 0; t->extras && i < t->extras->n_sem_undo; i++) {
		const FermataSemUndo *u = t->extras->sem_undo[i];
		if (u->adjustment > VALUE_MAX || u->adjustment < ADJUSTMENT_MIN)
			return fail(s, EBADMSG, "pid %d: SEM_UNDO adjustments are out of range",
				t->vtid);
	}
	return 0;
}

/* All of it at once, so that no other process sees the semaphore elsewhere. */
static void plan_adjustment(struct program *p, const FermataSemUndo *u, int value)
{
	struct sembuf ops[OPS_MAX];
	size_t n = 0;
	bool up_first = value < VALUE_MAX - value;
	int room = up_first ? VALUE_MAX - value : value;
	short of_up = u->adjustment < 0 ? SEM_UNDO : 0, of_down = u->adjustment < 0 ? 0 : SEM_UNDO;
	for (int left = abs(u->adjustment); left > 0;) {
		short part = (short)(left < room ? left : room), number = (short)u->number;
		struct sembuf up = {(unsigned short)number, part, (short)(IPC_NOWAIT | of_up)};
		struct sembuf down = {
			(unsigned short)number, (short)-part, (short)(IPC_NOWAIT | of_down)};
		ops[n++] = up_first ? up : down;
		ops[n++] = up_first ? down : up;
		left -= part;
	}
	program_step(p, "adjust at exit: SEM_UNDO", NULL, SYS_semop, imm(u->set),
		in_copy(p, ops, n * sizeof(*ops)), imm(n));
}

static int undo_plan(struct session *s, struct thread *t, struct program *p)
{
	for (size_t i = 0; t->extras && i < t->extras->n_sem_undo; i++) {
		const FermataSemUndo *u = t->extras->sem_undo[i];
		int value = sem_value(t->task->tree, (int)u->set, u->number);
		if (value < 0)
			return fail(s, EBADMSG,
				"pid %d: the images lack the semaphore set %u that it adjusts",
				t->vtid, u->set);
		plan_adjustment(p, u, value);
	}
	return 0;
}

const struct aspect sem_undo_aspect = {
	.name = "SEM_UNDO adjustments",
	.leader_only = true,
	.check = undo_check,
	.plan = undo_plan,
};
