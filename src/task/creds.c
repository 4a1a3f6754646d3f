/*
 * Credentials of a thread: ids, groups, capabilities, securebits, no_new_privs (credentials(7),
 * capabilities(7)).
 *
 * Ids are read inside, as the thread's user namespace shows them.  Capabilities come from
 * /proc/TID/status, which shows the same sets as capget(2) and prctl(2) without a call for each.
 * Restore is in creds_restore.c.
 */
#include "task/creds.h"

#include <errno.h>

#include "kernel/syscalls.h"
#include "task/aspect.h"

extern const struct aspect creds_aspect;

enum {
	MAX_GROUPS = 1024, /* the reference cannot take more than about a page of them */
	CAP_WORDS = 2,
};

struct creds_read {
	uint32_t uid[3], gid[3];			      /* real, effective, saved */
	int fsuid, fsgid, securebits, no_new_privs, n_groups; /* steps */
	uint32_t *groups;
};

static int creds_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	struct creds_read *rd = *state = arena_new(&s->arena, struct creds_read);
	size_t n_groups = t->status.groups.n;
	if (n_groups > MAX_GROUPS) {
		block(s, t->task->vpid, NULL,
			"thread %d: has %zu supplementary groups, more than %d", t->vtid, n_groups,
			MAX_GROUPS);
		n_groups = 0;
	}
	program_step(p, "read user ids", NULL, SYS_getresuid, out(p, &rd->uid[0], 4),
		out(p, &rd->uid[1], 4), out(p, &rd->uid[2], 4));
	program_step(p, "read group ids", NULL, SYS_getresgid, out(p, &rd->gid[0], 4),
		out(p, &rd->gid[1], 4), out(p, &rd->gid[2], 4));
	/* -1 is no valid id: it changes nothing and returns the present one. */
	rd->fsuid = program_step(p, "read filesystem uid", NULL, SYS_setfsuid, simm(-1));
	rd->fsgid = program_step(p, "read filesystem gid", NULL, SYS_setfsgid, simm(-1));
	rd->securebits =
		program_step(p, "read securebits", NULL, SYS_prctl, imm(PR_GET_SECUREBITS));
	rd->no_new_privs =
		program_step(p, "read no_new_privs", NULL, SYS_prctl, imm(PR_GET_NO_NEW_PRIVS));
	if (!n_groups)
		return 0;
	rd->groups = arena_array(&s->arena, uint32_t, n_groups);
	rd->n_groups = program_step(p, "read groups", NULL, SYS_getgroups, imm(n_groups),
		out(p, rd->groups, n_groups * sizeof(*rd->groups)));
	return 0;
}

static uint32_t *cap_words(struct session *s, uint64_t mask, size_t *ret_n)
{
	uint32_t *words = arena_array(&s->arena, uint32_t, CAP_WORDS);
	words[0] = (uint32_t)mask;
	words[1] = (uint32_t)(mask >> 32);
	*ret_n = CAP_WORDS;
	return words;
}

static int creds_store(struct session *s, struct thread *t, const struct program *p, void *state)
{
	const struct creds_read *rd = state;
	const struct proc_status *st = &t->status;
	CredsEntry *e = t->core->thread_core->creds = arena_new(&s->arena, CredsEntry);
	creds_entry__init(e);
	e->uid = rd->uid[0];
	e->euid = rd->uid[1];
	e->suid = rd->uid[2];
	e->gid = rd->gid[0];
	e->egid = rd->gid[1];
	e->sgid = rd->gid[2];
	e->fsuid = (uint32_t)program_result(p, rd->fsuid);
	e->fsgid = (uint32_t)program_result(p, rd->fsgid);
	e->secbits = (uint32_t)program_result(p, rd->securebits);
	e->cap_inh = cap_words(s, st->cap_inh, &e->n_cap_inh);
	e->cap_prm = cap_words(s, st->cap_prm, &e->n_cap_prm);
	e->cap_eff = cap_words(s, st->cap_eff, &e->n_cap_eff);
	e->cap_bnd = cap_words(s, st->cap_bnd, &e->n_cap_bnd);
	e->cap_amb = cap_words(s, st->cap_amb, &e->n_cap_amb);
	e->no_new_privs = (uint32_t)program_result(p, rd->no_new_privs);
	e->has_no_new_privs = e->no_new_privs != 0;
	if (rd->groups) {
		e->groups = rd->groups;
		e->n_groups = (size_t)program_result(p, rd->n_groups);
	}
	return 0;
}

const struct aspect creds_aspect = {
	.name = "credentials",
	.collect = creds_collect,
	.store = creds_store,
	.check = creds_check,
	.plan = creds_plan,
};
