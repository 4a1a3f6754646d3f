/*
 * The lines of a timerfd in fdinfo:
 *
 *	clockid: 1
 *	ticks: 0
 *	settime flags: 01
 *	it_value: (3, 999999999)
 *	it_interval: (0, 0)
 */
#include "kernel/fdinfo_timerfd.h"

static bool scan_pair(
	const struct proc_fdinfo *info, const char *name, uint64_t *sec, uint64_t *nsec)
{
	struct scan c = fdinfo_extra(info), value;
	return fdinfo_next(&c, name, &value) && scan_char(&value, '(') && scan_u64(&value, sec) &&
	       scan_literal(&value, ", ") && scan_u64(&value, nsec) && scan_char(&value, ')') &&
	       *nsec < 1000000000;
}

bool fdinfo_timerfd_parse(const struct proc_fdinfo *info, struct fdinfo_timerfd *ret)
{
	uint64_t clock, flags;
	if (!fdinfo_number(info, "clockid", 10, &clock) || clock > INT32_MAX ||
		!fdinfo_number(info, "ticks", 10, &ret->ticks) ||
		!fdinfo_number(info, "settime flags", 8, &flags) || flags > UINT32_MAX)
		return false;
	ret->clock = (int)clock;
	ret->settime_flags = (uint32_t)flags;
	return scan_pair(info, "it_value", &ret->value_sec, &ret->value_nsec) &&
	       scan_pair(info, "it_interval", &ret->interval_sec, &ret->interval_nsec);
}
