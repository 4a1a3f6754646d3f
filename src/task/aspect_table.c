/*
 * All aspects, in order of restore.  The order is forced only where a comment says so.
 */
#include "task/aspect.h"

extern const struct aspect core_aspect, comm_aspect, sigmask_aspect, sigaction_aspect,
	sigaltstack_aspect, tid_address_aspect, robust_list_aspect, rseq_aspect, sched_aspect,
	thp_aspect, membarrier_aspect, loginuid_aspect, oom_score_aspect, subreaper_aspect,
	personality_aspect, extras_aspect, lsm_aspect, rlimit_aspect, posix_timer_aspect,
	sigqueue_aspect, seccomp_aspect, creds_aspect, dumpable_aspect, pdeath_signal_aspect,
	posix_timer_arm_aspect, itimer_aspect, refused_aspect, sched_hints_aspect,
	prctl_settings_aspect, io_priority_aspect, affinity_aspect, numa_policy_aspect,
	coredump_filter_aspect, lock_future_aspect, io_uring_aspect, sem_undo_aspect,
	cpu_settings_aspect, autogroup_aspect, landlock_aspect, exit_signal_aspect;

const struct aspect *const aspects[] = {
	/* first: makes the messages that all others fill */
	&core_aspect,
	&comm_aspect,
	&sigmask_aspect,
	&sigaction_aspect,
	&sigaltstack_aspect,
	&tid_address_aspect,
	&robust_list_aspect,
	&rseq_aspect,
	&sched_aspect,
	/* both after scheduling, which they ask about */
	&sched_hints_aspect,
	&prctl_settings_aspect,
	&io_priority_aspect,
	&affinity_aspect,
	&numa_policy_aspect,
	&coredump_filter_aspect,
	&autogroup_aspect,
	/* after alternate stacks, which large registers must fit on */
	&cpu_settings_aspect,
	&extras_aspect,
	&refused_aspect,
	&landlock_aspect,
	&lsm_aspect,
	&thp_aspect,
	&membarrier_aspect,
	&oom_score_aspect,
	&subreaper_aspect,
	&exit_signal_aspect,
	&personality_aspect,
	/* opens a file: before a limit may forbid that */
	&loginuid_aspect,
	/* before a limit may forbid locks */
	&lock_future_aspect,
	/* only asks; file/io_uring.c */
	&io_uring_aspect,
	/* ipc/sem_undo.c; takes the values of semaphores, which are set by now */
	&sem_undo_aspect,
	&rlimit_aspect,
	&posix_timer_aspect,
	/* after signal actions, since ignoring a signal drops it, and RLIMIT_SIGPENDING */
	&sigqueue_aspect,
	/* needs privilege that credentials take away */
	&seccomp_aspect,
	&creds_aspect,
	/* both are reset by a change of credentials */
	&dumpable_aspect,
	&pdeath_signal_aspect,
	/* last: timers that fire find everything else in place */
	&posix_timer_arm_aspect,
	&itimer_aspect,
	NULL,
};
