/*
 * A visit: the agent inside a live, seized task, to read (dump) or to do errands there.
 *
 * Safety: from visit_begin() to visit_end() the controller may be killed at any instant and the
 * task goes on with its own life by itself; see inject.c for how.  No code of the task is
 * overwritten; a few dozen bytes of the zero padding behind its vDSO are borrowed.
 */
#ifndef FERMATA_ENGINE_INJECT_H
#define FERMATA_ENGINE_INJECT_H

#include "engine/channel.h"
#include "engine/program.h"
#include "task/task.h"

struct visit;

/*
 * Maps the agent into the stopped task. The leader's registers and signal mask are in
 * t->threads.v[0]->regs and ->sigmask already.
 * vdso: start of the task's [vdso] mapping and its length, 0 when it has none.
 */
int visit_begin(struct session *s, struct task *t, uint64_t vdso, uint64_t vdso_len,
	struct visit **ret_visit);

/*
 * The same with `room` bytes (whole pages) behind the agent for whatever the caller puts there: in
 * the task it is readable and executable until a program says otherwise, and it goes with the visit,
 * however that ends.  visit_room() is its place here; *ret_addr, in the task.  The leader may run code
 * there, by AGENT_CALL_FUNCTION; its extended state is put back then.
 */
int visit_begin_with_room(struct session *s, struct task *t, uint64_t vdso, uint64_t vdso_len,
	size_t room, struct visit **ret_visit);
void *visit_room(const struct visit *v, uint64_t *ret_addr, size_t *ret_len);

/* Address in the task of a futex word: FUTEX_OWNER_DIED is set in it when the controller is dead. */
uint64_t visit_controller_word(const struct visit *v);

/* Plays a program on the leader; returns when it is done. */
int visit_play(struct visit *v, struct program *p);

/* A SIGSTOP came while the agent was in, and no SIGCONT since: who lets the task go sends it again. */
bool visit_owes_stop(struct session *s, const struct task *t);

/* Takes the agent out; the task is stopped with its own registers, as before visit_begin(). */
int visit_end(struct visit *v);

/*
 * The same for several tasks of different address spaces, whose waits then overlap: visit_open()
 * makes the first move and returns, visits_enter() makes the others; p[i] is played in v[i].
 * Visits that are NULL are left out, and visits_end() is right after any failure.
 */
enum { VISITS_MAX = 16 }; /* the kernel looks at 2048 robust futexes of a dead controller */
int visit_open(struct session *s, struct task *t, uint64_t vdso, uint64_t vdso_len,
	struct visit **ret_visit);
int visits_enter(struct visit *const *v, size_t n);
int visits_play(struct visit *const *v, struct program *p, size_t n);
int visits_end(struct visit *const *v, size_t n);

/*
 * Room where the controller maps the windows of n visits side by side, which it then unmaps at once,
 * after visits_end(): each time, the other threads of the controller are interrupted.  visit_place() gives
 * the i-th place to a visit that was opened.  Without room (NULL) each is mapped and unmapped alone.
 */
void *visits_reserve(size_t n);
void visits_unreserve(void *room, size_t n);
void visit_place(struct visit *v, void *room, size_t i);

/*
 * Plays a program and calls meanwhile() once while the task is at it, for a program that waits for
 * something the controller does; such a wait must end by itself when the controller is dead.
 */
int visit_play_meanwhile(struct visit *v, struct program *p, int (*meanwhile)(void *arg), void *arg);

/*
 * For meanwhile(): waits up to timeout_ms until a step of the first load has run. Returns its
 * result, or -ETIMEDOUT without a failure.
 */
int64_t visit_await_step(const struct visit *v, int step, unsigned timeout_ms);
/* Has all of the first load run? */
bool visit_has_played(const struct visit *v);

/*
 * The same on other stopped threads of the task, several at once.  visit_send() starts n of them,
 * visit_seats() at most, each with a program of its own, and returns; visit_fetch() waits until all
 * are done and stopped, with their registers put back.  The leader has played something before.
 * Nothing else may be asked of those threads
 * or of the leader's agent in between.
 */
enum { VISIT_SEATS_MAX = AGENT_SEATS };
size_t visit_seats(const struct visit *v);
int visit_send(struct visit *v, struct thread *const *threads, struct program *programs, size_t n);
int visit_fetch(struct visit *v);

/*
 * Another thread of the tool in the same visit, for the task's threads that it traces: it may only
 * send and fetch, on its part of the seats (which there may be none of).  visit_part() takes its
 * threads out, whatever they are doing, and comes before visit_end().
 */
struct visit *visit_join(struct session *s, const struct visit *v, unsigned part, unsigned n_parts);
int visit_part(struct visit *joined);

/* The mappings of the visit in the task, which are none of its own. */
uint64_t visit_start(const struct visit *v);
uint64_t visit_end_addr(const struct visit *v);

/* Forgets a visit of a task that is about to be killed: nothing is put back. */
void visit_abandon(struct visit *v);

#endif
