/* sched_getattr(2): most of what there is to know of how a thread is scheduled, in one call. */
#ifndef FERMATA_TASK_SCHED_ATTR_H
#define FERMATA_TASK_SCHED_ATTR_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/syscalls.h"

/* struct sched_attr, 2nd version; <linux/sched/types.h> does not go with <sched.h>. */
struct sched_attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;	   /* 0 of a realtime or deadline thread, whatever it has */
	uint32_t priority; /* of a realtime one */
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

enum { SCHED_ATTR_RESET_ON_FORK = 0x01 };

/* tid 0: the caller. False: see errno. */
static inline bool sched_attributes_read(pid_t tid, struct sched_attributes *ret)
{
	*ret = (struct sched_attributes){0};
	return syscall(SYS_sched_getattr, tid, ret, sizeof(*ret), 0) >= 0;
}

#endif
