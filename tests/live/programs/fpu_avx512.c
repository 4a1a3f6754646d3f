/*
 * The AVX-512 registers and masks, held across the dump in user mode.
 * PROVES: F023 F025
 */
#include "xstate.h"

int main(int argc, char **argv)
{
	setup(argc, argv);
	struct ctl *ctl = map_ctl();

	if (!have(AVX512))
		skip("no AVX-512 on this machine");
	hold_and_check(AVX512, 3, ctl, &ctl->armed);
	ok();
}
