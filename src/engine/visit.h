/*
 * The inside of a visit, for engine/inject.c (in and out), engine/visit_play.c (the leader) and
 * engine/guests.c (other threads).
 *
 * The region:
 *	agent code | leader's frame | per seat: frame, channel | leader's channel | room
 */
#ifndef FERMATA_ENGINE_VISIT_H
#define FERMATA_ENGINE_VISIT_H

#include <linux/futex.h>

#include "engine/inject.h"
#include "engine/site.h"

enum {
	CODE_LEN = 4096,
	FRAME_LEN = ARCH_XSTATE_MAX + 4096,
	SEAT_CHANNEL_LEN = 16 * 1024,
	LEADER_CHANNEL_LEN = 512 * 1024,
	SEAT_LEN = FRAME_LEN + SEAT_CHANNEL_LEN,

	LEADER_FRAME = CODE_LEN,
	SEATS = LEADER_FRAME + FRAME_LEN,
	LEADER_CHANNEL = SEATS + AGENT_SEATS * SEAT_LEN,
	REGION_LEN = LEADER_CHANNEL + LEADER_CHANNEL_LEN,
};

/* Room for a thread other than the leader. States: see engine/guests.c. */
struct seat {
	struct channel channel;
	struct thread *t;
	struct program *p;
	bool taken;
	bool stopped; /* by its stop signal, with its program played */
};

struct visit {
	struct session *s;
	struct task *t;
	uint32_t controller; /* TID */
	struct site site;
	uint64_t region; /* in the task */
	size_t len;      /* of it, with room for code of others */
	char *shared;    /* the same, here */
	char *place;     /* where it shall be, and stay; NULL: anywhere */
	struct channel channel;
	struct seat seats[AGENT_SEATS];
	size_t first_seat, n_seats; /* those that are this visit's to fill */
	bool seats_open;
	bool running; /* the leader is in the agent, not in a ptrace stop */
	int stage;    /* of its way in, then of its way out: the next one */
	bool failed;  /* goes no further on that way */
	struct user_regs_struct way_back; /* restart-fixed: for leaving without the controller */
};

/* The mask while the agent is in. */
extern const uint64_t visit_all_signals;

static inline void visit_open_channel(
	struct visit *v, struct channel *ch, size_t offset, size_t len)
{
	channel_init(ch, v->shared + offset, v->region + offset, len, AGENT_PARK_FUTEX);
	ch->shared->unprotect = len;
	ch->shared->hold = v->controller | FUTEX_WAITERS;
}

/*
 * On the way in, when the leader is stopped at the exit of a call: another one, by the stub. Once the
 * site is written.
 */
int visit_call(struct visit *v, uint64_t nr, const uint64_t arg[6], int64_t *ret);
/* region.c: maps v->region here, with the agent in it. */
int visit_open_region(struct visit *v);

/* The signal frame at offset, by which the channel's agent leaves without the controller. */
int visit_build_frame(struct visit *v, size_t offset, const struct arch_regs *regs,
	const struct user_regs_struct *gp, uint64_t sigmask, struct channel *ch);

/* Points the stopped thread at the agent; the leader has its mask by then. visit_go() starts it. */
int visit_aim(struct visit *v, pid_t tid, const struct user_regs_struct *from,
	const struct channel *ch);
int visit_go(struct visit *v, pid_t tid);

/*
 * Deals with a stop that wait4() reported and nobody asked for: signals that cannot be blocked may
 * stop the task; it must go on until the agent is done.
 */
int visit_go_on(struct visit *v, pid_t tid, int status);

/* A stop by SIGSTOP, which is not passed on: it is noted. Others are none of its business. */
void visit_hold_stop(struct visit *v, int status);

/* Plays the rest of p; what was loaded into ch before is being played already. */
int visit_play_out(struct visit *v, pid_t tid, struct channel *ch, struct program *p);

/* Back to the registers of the stop, as if nothing had happened; the thread is in an event stop. */
int visit_give_back(struct visit *v, const struct thread *t);

/* Takes all threads off their seats, whatever they are doing. */
int visit_clear_seats(struct visit *v);
void visit_drop_seats(struct visit *v);

#endif
