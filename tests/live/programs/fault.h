/* Touching memory that may not be there to be touched. */
#ifndef FAULT_H
#define FAULT_H

#include "check.h"

#include <setjmp.h>

static sigjmp_buf fault;

static UNUSED void on_fault(int sig)
{
	siglongjmp(fault, sig);
}

static UNUSED bool faults(volatile char *p)
{
	if (sigsetjmp(fault, 1))
		return true;
	(void)*p;
	return false;
}

#endif
