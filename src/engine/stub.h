/*
 * Stubs: bare processes that become the tasks of a restored tree.
 *
 * All channels lie in one region of shared memory, mapped at the same address in every stub, in a
 * hole that no task of the tree uses.  Every stub is traced with PTRACE_O_EXITKILL from its first
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

struct stubs {
	struct session *s;
	uint64_t addr;  /* of the region in every stub */
	char *shared;   /* the controller's mapping */
	size_t size, used;
	int memfd;
	int socket;      /* controller's end for passing descriptors */
	int task_socket; /* number of the other end in every stub */
	int task_images; /* number of the images directory in every stub */
	FILE *explain;        /* --explain: programs are printed here and nothing is made */
	pid_vec tids;         /* their further threads, which the tracer has to reap as well */
	pid_vec pids; /* processes alive because of us, newest last */
};

/*
 * Makes the region for n_tasks and n_threads at addr (found by the memory plan) and the socket.
 * fd_socket, fd_images: numbers that no task of the tree uses.
 */
int stubs_init(struct session *s, struct stubs *st, size_t n_tasks, size_t n_threads, uint64_t addr,
	int fd_socket, int fd_images);
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
/* The two halves of it, to let several stubs work at once. */
int stub_start(struct stubs *st, struct thread *t, struct program *p);
int stub_wait(struct stubs *st, struct thread *t, struct program *p);
/* stub_start() is these two; a thread may have its program before it is born. */
int stub_load(struct stubs *st, struct thread *t, struct program *p);
int stub_go(struct stubs *st, struct thread *t, struct program *p);

/*
 * Descriptors for a stub: stub_send_fds() queues up to STUB_FDS_MAX of them on the socket, the step
 * of stub_plan_receive() takes one such batch (close-on-exec); they land on the lowest free numbers
 * of the table, and the array it returns holds them once the program was played. Plan and send once
 * per batch, in the same order, for one stub at a time. What was sent may be closed at once.
 */
enum { STUB_FDS_MAX = 250 };
int stub_send_fds(struct stubs *st, const int *fds, unsigned n);
const int *stub_plan_receive(struct stubs *st, struct program *p, unsigned n);
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

#endif
