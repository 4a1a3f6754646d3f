/*
 * The model: tasks and threads of one tree, as dump fills them and restore reads them.
 *
 * What ends up in images is kept in the image's own messages (core, mm, ids ...), so that both
 * directions speak of the same fields.  Everything lives in the session's arena.
 */
#ifndef FERMATA_TASK_TASK_H
#define FERMATA_TASK_TASK_H

#include <stdint.h>
#include <sys/types.h>

#include "core.pb-c.h"
#include "fdinfo.pb-c.h"
#include "fermata.pb-c.h"
#include "inventory.pb-c.h"
#include "mem.pb-c.h"

#include "arch/arch.h"
#include "base/id_map.h"
#include "base/session.h"
#include "engine/channel.h"
#include "kernel/proc_stat.h"
#include "kernel/proc_status.h"
#include "kernel/task_records.h"

/* core.tc.task_state; HELPER only exists during a restore. */
enum task_state {
	TASK_ALIVE = 1,
	TASK_DEAD = 2, /* zombie */
	TASK_STOPPED = 3,
	TASK_HELPER = 0x80, /* stands for a dead session or group leader; exits before the tree runs */
};

struct task;
struct tree;

struct thread {
	struct task *task;
	pid_t tid;  /* as the controller sees it */
	pid_t vtid; /* inside its pid namespace, as images name it */
	CoreEntry *core;
	FermataEntry *extras;  /* what core has no field for; NULL = nothing */
	struct arch_regs regs; /* dump: as stopped; restore: to be set at take-over */
	uint64_t sigmask;      /* bit n-1: signal n */

	/* dump */
	struct proc_status status;
	const struct task_record *record; /* when all were stopped; NULL: has to be asked for */
	bool seized;
	void *filters; /* task/seccomp.c: its chain; NULL = none */
	bool may_clean_up; /* no filter keeps an agent from that whose tracer is gone */
	unsigned lane; /* that traces it, and alone may ask ptrace about it: base/share.h */

	/* restore */
	struct channel channel;
	struct program program; /* what it plays next */
	bool makes_files; /* that only it can make: plays programs of file/ before its own */
	struct program *playing; /* started and not waited for, or NULL */
};

struct task {
	struct tree *tree;
	struct task *parent;
	VEC(struct task *) children;
	VEC(struct thread *) threads; /* [0] is the leader; also for zombies */
	enum task_state state;
	pid_t pid;  /* as the controller sees it */
	pid_t vpid; /* inside its pid namespace */
	pid_t pgid, sid; /* inside */
	uint32_t index; /* place in tree.tasks */

	TaskKobjIdsEntry *ids;
	MmEntry *mm;
	FsEntry *fs;

	/* dump */
	struct proc_stat stat;
	bool in_lanes; /* its threads are traced by more than one */
	bool maps_rings; /* of io_uring */
	bool may_undo; /* ipc/: it may have adjustments of SEM_UNDO */
	void *rings; /* file/: struct rings_told, what it says of them; NULL = nothing */
	uint32_t *aio_tails; /* mem/aio.c: how far the kernel had written its rings */
	void *links; /* file/dump.c: where its executable and directories are */
	int stop_signo; /* 0, or the signal of the group-stop, also of one that is about to begin */
	bool held_stop; /* a visit took a SIGSTOP from it (engine/inject.h) */
	bool continued; /* a SIGCONT is pending: it came after all that would stop it */

	/* restore */
	pid_t now_pgid; /* group it is in so far */
	pid_t born_sid; /* session it forks children in before its own setsid(), 0 = none */
	void *mem;      /* mem/: struct mem_plan */
	void *files;    /* file/: struct fd_table */
};

struct tree {
	struct task *root;
	VEC(struct task *) tasks; /* depth-first, parents before children */
	struct id_map by_vpid;
	void *vdso;    /* mem/vdso.c: struct live_vdso, found once */
	void *seccomp; /* seccomp.c: struct seccomp_table, NULL = no filters */
	bool no_labels; /* lsm.c: no security module has any; set by either lane */
	bool one_node;  /* vma_policy.c: the machine has no more; likewise */
	int flags_program; /* of proc_flags_program(), while mappings of many are read; 0 = none */
	void *last_actions; /* sigaction.c: stored last, by either lane */
	const uint32_t *own_loginuid; /* loginuid.c: what stubs inherit; NULL = not read yet */
	bool no_loginuid;
	void *own_limits; /* rlimit.c: struct rlimit [], likewise */
	void *own_actions; /* sigaction.c: which signals stubs inherit as ignored */
	const void *own_scheduling; /* sched_hints.c: the controller's; set by either lane */
	void *own_creds; /* creds_restore.c: what stubs inherit from the controller */
	void *shm, *sem, *msg; /* ipc/: System V objects, NULL = none */
	struct brief_names *ipc_guard;
	void *witnesses; /* task/landlock.c */
	int network_lock; /* enum network_lock: of TCP connections at dump, and from the inventory */
	/* restore, from the inventory */
	const char *run_id; /* of the dump; NULL in old images */
	bool tcp_close;
};

static inline struct thread *leader(const struct task *t)
{
	return t->threads.v[0];
}

/* Alive or stopped: it has memory, files and threads. */
static inline bool task_lives(const struct task *t)
{
	return t->state == TASK_ALIVE || t->state == TASK_STOPPED;
}

struct task *task_new(struct session *s, struct tree *tree, struct task *parent, pid_t vpid);
struct thread *thread_new(struct session *s, struct task *t, pid_t vtid);
/* One that was made elsewhere and is of no task yet. */
void thread_add(struct session *s, struct task *t, struct thread *th);
struct task *tree_find(const struct tree *tree, pid_t vpid);

#endif
