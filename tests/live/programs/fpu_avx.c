/*
 * The AVX registers, held across the dump in user mode.
 * PROVES: F023 F025
 */
#include "xstate.h"

int main(int argc, char **argv)
{
	setup(argc, argv);
	struct ctl *ctl = map_ctl();

	if (!have(AVX))
		skip("no AVX on this machine");
	hold_and_check(AVX, 2, ctl, &ctl->armed);
	ok();
}
