/* What fdinfo says of a timerfd (fs/timerfd.c timerfd_show()). */
#ifndef FERMATA_KERNEL_FDINFO_TIMERFD_H
#define FERMATA_KERNEL_FDINFO_TIMERFD_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/proc_fdinfo.h"

struct fdinfo_timerfd {
	int clock;
	uint64_t ticks;		/* expirations that were not read */
	uint32_t settime_flags; /* TFD_TIMER_* of the last timerfd_settime(2) */
	/* Time left, also of absolute timers; 0 once it is over or when the timer is not armed. */
	uint64_t value_sec, value_nsec;
	uint64_t interval_sec, interval_nsec;
};

bool fdinfo_timerfd_parse(const struct proc_fdinfo *info, struct fdinfo_timerfd *ret);

#endif
