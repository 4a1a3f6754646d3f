/*
 * x87 stack and control word, MXCSR and the SSE registers, held across the dump in user mode.
 * PROVES: F023
 */
#include "xstate.h"

int main(int argc, char **argv)
{
	setup(argc, argv);
	struct ctl *ctl = map_ctl();

	hold_and_check(SSE, 1, ctl, &ctl->armed);
	ok();
}
