/*
 * Stubs: bare processes that become the tasks of a restored tree.
 *
 * All channels lie in one region of shared memory, which stubs inherit from the controller, in a hole
 * that no task of the tree uses.  Every stub is traced with PTRACE_O_EXITKILL from its first
 * instruction (children by CLONE_PTRACE), so none survives the controller.  A stub at rest is in
 * a ptrace stop; waiting for it is waiting for that stop.
 */
#ifndef FERMATA_ENGINE_STUB_H
#define FERMATA_ENGINE_STUB_H

#include <stdio.h>

#include "engine/channel.h"
#include "engine/program.h"
#include "kernel/procfs.h"
#include "task/task.h"

enum {
	STUB_LANES = 4,
	STUB_SERVICES = STUB_LANES + 1,
};

struct stubs {
	struct session *s;
	uint64_t addr;  /* of the region, in every stub and in the controller */
	char *shared;   /* the same */
	size_t size, used;
	int lanes[STUB_LANES];             /* our ends of the sockets that descriptors are passed by */
	struct thread *users[STUB_LANES];  /* whose program may be receiving from each */
	unsigned lane;                     /* the one in use now */
	int services[STUB_SERVICES];       /* numbers of the other ends in every stub, ascending... */
	int task_images;                   /* ... and, the last of them, of the images directory */
	FILE *explain;        /* --explain: programs are printed here and nothing is made */
	pid_vec tids;         /* their further threads, which the tracer has to reap as well */
	pid_vec pids; /* processes alive because of us, newest last */
};

/*
 * Makes the region for n_tasks and n_threads at addr (found by the memory plan); -EEXIST, without a
 * failure: the controller has something else there.
 * services: numbers that no task of the tree uses, ascending.
 */
int stubs_init(struct session *s, struct stubs *st, size_t n_tasks, size_t n_threads, uint64_t addr,
	const int services[STUB_SERVICES]);
size_t stubs_region_size(size_t n_tasks, size_t n_threads);

/* Forks the root stub with t->vpid; sibling: as a child of the controller's parent. */
int stub_fork_root(struct stubs *st, struct task *t, bool sibling);

/* Appends the steps to p, to be played by the parent, that clone a child process of t. */
int stub_plan_child(struct stubs *st, struct task *child, bool share_files, bool share_fs,
	struct program *p);
/* Same for another thread of the task that plays p. */
int stub_plan_thread(struct stubs *st, struct thread *t, struct program *p);
/* After such a program was played: waits for the newborn's first stop. */
int stub_adopt(struct stubs *st, struct thread *t);

/* Plays a program on a stub's thread. */
int stub_play(struct stubs *st, struct thread *t, struct program *p);
/*
 * The two halves of it, to let several stubs work at once. What a thread is still playing is waited
 * for before it is given something new.
 */
int stub_start(struct stubs *st, struct thread *t, struct program *p);
int stub_wait(struct stubs *st, struct thread *t, struct program *p);
/* stub_start() is these two; a thread may have its program before it is born. */
int stub_load(struct stubs *st, struct thread *t, struct program *p);
int stub_go(struct stubs *st, struct thread *t, struct program *p);

/*
 * Descriptors for a stub: stub_send_fds() queues up to STUB_FDS_MAX of them on a socket, the step
 * of stub_plan_receive() takes one such batch (close-on-exec); they land on the lowest free numbers
 * of the table, and the array it returns holds them once the program was played. Plan and send once
 * per batch, in the same order. What was sent may be closed at once.
 *
 * All stubs have the other ends of all sockets.  Before a program that receives is planned, its
 * thread takes a lane; that waits for who had it before, so several programs may be under way.
 */
enum { STUB_FDS_MAX = 250 };
int stub_take_lane(struct stubs *st, struct thread *user);
int stub_send_fds(struct stubs *st, const int *fds, unsigned n);
const int *stub_plan_receive(struct stubs *st, struct program *p, unsigned n);
/* Appends the steps that close all that a stub has of ours. */
void stub_plan_close_services(const struct stubs *st, struct program *p);
/* The number on which descriptor i of a batch lands when nothing but our own two are open. */
int stub_landing(const struct stubs *st, unsigned i);

/* Gives a thread that will play nothing any more its registers and signal mask. */
int stub_set_registers(struct stubs *st, struct thread *t);

/*
 * Take-over: the leader unmaps the region through the system call instruction at syscall_ip (in the
 * task's own vDSO), gets into the stop from which it may be let go, and gets its registers.  The
 * other threads have theirs by then. Do each for several tasks before the next.
 */
int stub_begin_become(struct stubs *st, struct task *t, uint64_t syscall_ip);
int stub_end_become(struct stubs *st, struct task *t);
int stub_rest(struct stubs *st, struct task *t);

/* The process has ended and was waited for. */
void stub_forget(struct stubs *st, pid_t pid);

/* Kills every stub and waits for them; for a failed restore. */
void stubs_kill(struct stubs *st);
void stubs_release(struct stubs *st);
/* Before stubs_init(): nothing to release. */
#define STUBS_NONE {.lanes = {-1, -1, -1, -1}}

#endif
